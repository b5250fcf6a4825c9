"""What the view is for: measurements, reader studies, and objects for hospital archives."""
