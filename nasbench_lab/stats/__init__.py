"""Arrays in, arrays out: intervals, significance, standings, fronts, references, calibration, agreement."""
