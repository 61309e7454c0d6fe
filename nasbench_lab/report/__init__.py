"""Leaderboard + charts -> one self-contained page; `page/` holds its script and style."""
