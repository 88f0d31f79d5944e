"""Training: one loop for every loss, its mesh, its checkpoints."""
