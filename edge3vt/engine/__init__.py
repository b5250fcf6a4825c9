"""Engines: built from a recipe, bound by a manifest of hashes, opened on one runtime, verified against FP32."""
