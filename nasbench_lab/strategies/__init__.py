"""Search strategies: a folder per family, a file per strategy, named as the strategy is; `_...` are helpers."""
