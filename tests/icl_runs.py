"""A tiny experiment on functions, for tests."""

from icl.training.experiments import Experiment

STEPS = {"dispatch": 3, "save_every": 6, "log_every": 3, "quiet": True}
TINY = Experiment("linear-2l1ah", points=5, batch=7, learning_rate=1e-3, hidden_size=6, seed=11)
