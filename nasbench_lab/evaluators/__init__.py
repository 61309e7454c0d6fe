"""Ways to answer a query, one file each."""
