"""Reinforcement learning: policies over the decisions of a space."""
