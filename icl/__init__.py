"""Learning functions in context, from scratch."""
