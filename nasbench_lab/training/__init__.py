"""Real training: the benchmark's network, its data, the trainer, and the measuring of tables (torch; import on use)."""
