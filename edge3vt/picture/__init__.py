"""Pictures: decode, crop and resize, masks from logits, and the overlay. OpenCV, PyAV and pydicom live here."""
