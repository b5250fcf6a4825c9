"""The live picture in a browser."""
