"""A synthetic three-vessel-trachea view with exact masks: anatomy, motion, acoustics and the scanner's picture."""
