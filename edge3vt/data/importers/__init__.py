"""Importers, one file a format: find the jobs, read each in a child process."""
