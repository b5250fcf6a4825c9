"""edge3vt: a live segmentation overlay for the fetal three-vessel-trachea view that keeps its deadline."""

__version__ = "0.1.0"
