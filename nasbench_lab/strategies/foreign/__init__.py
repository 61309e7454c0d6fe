"""Other people's strategies: Optuna's samplers, and programs in any language."""
