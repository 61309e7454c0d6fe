"""Readers and writers of benchmark files, one format per file, and what they share."""
