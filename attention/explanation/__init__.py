"""What of attention reaches the output, and whether it explains the prediction."""

from attention.explanation.efficient import effective_attention, efficient_attention

__all__ = ["effective_attention", "efficient_attention"]
