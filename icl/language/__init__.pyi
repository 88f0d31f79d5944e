from . import asking as asking
from .answering import checkpoint as checkpoint
from .answering import endpoint as endpoint

__all__ = [
    "asking",
    "checkpoint",
    "endpoint",
]
