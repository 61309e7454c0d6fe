"""Search led by a model of the scores seen so far."""
