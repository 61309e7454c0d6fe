"""Evolution: populations, selection, mutation and crossover."""
