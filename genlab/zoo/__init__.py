"""Trained models that come with genlab: weights, config, evaluation and a check of each."""
