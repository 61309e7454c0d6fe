"""Several objectives at once: fronts instead of one best."""
