from . import saturation as saturation
from .collapse import collapse_of_model as collapse_of_model
from .collapse import collapse_of_scores as collapse_of_scores
from .collapse import draw as draw
from .roots import approximate as approximate
from .saturation import effective_bound as effective_bound

__all__ = [
    "approximate",
    "collapse_of_model",
    "collapse_of_scores",
    "draw",
    "effective_bound",
    "saturation",
]
