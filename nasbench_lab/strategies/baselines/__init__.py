"""What every other strategy has to beat: random search and zero-cost ranking."""
