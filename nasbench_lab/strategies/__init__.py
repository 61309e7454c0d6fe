"""Search strategies, one per file; a file's name is the strategy's name. Files that start with `_` are shared helpers."""
