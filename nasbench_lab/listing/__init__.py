"""What a listing says of a plug-in, read from its source: nothing of a plug-in is imported, and nothing of it runs."""
