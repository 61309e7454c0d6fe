"""Predictors of a cell's score, one per file. Files that start with `_` are shared helpers."""
