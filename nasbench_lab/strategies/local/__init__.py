"""Local search: moves to neighbours of the best."""
