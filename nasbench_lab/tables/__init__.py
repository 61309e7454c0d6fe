"""Tabulated benchmarks: arrays in one `.npz` with a JSON header, found by name."""
