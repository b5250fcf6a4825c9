"""Calibration: the ranges of a model's tensors on a set of pictures, and explicit Q/DQ made from them."""
