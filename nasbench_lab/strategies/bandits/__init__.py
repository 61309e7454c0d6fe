"""Bandits over fidelities: short trainings decide which go on."""
