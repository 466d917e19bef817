"""Trained models as StableHLO with their weights, for programs that do not have genlab."""
