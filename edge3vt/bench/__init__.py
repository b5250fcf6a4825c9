"""Measuring: streams against their truth, and the reports about them."""
