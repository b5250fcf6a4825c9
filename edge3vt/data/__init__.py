"""A user's own data: decoded in child processes, imported without losing or leaking a patient."""
