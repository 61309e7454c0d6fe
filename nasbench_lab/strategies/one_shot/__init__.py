"""One-shot: a supernet with shared weights instead of separate trainings (torch)."""
