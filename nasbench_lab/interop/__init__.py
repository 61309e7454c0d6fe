"""The official API over any table, and objectives for other people's loops."""
