"""Records -> ranked rows -> words and files."""
