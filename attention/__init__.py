"""Scoring functions, the transformer built on them, and what they explain."""
