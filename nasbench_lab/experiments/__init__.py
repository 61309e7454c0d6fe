"""Whole questions built on everything below: predictors, validation, supernets, audit, fronts, measuring, regression."""
