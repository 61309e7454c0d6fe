"""Arrays -> charts."""
