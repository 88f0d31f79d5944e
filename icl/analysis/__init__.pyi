from .collapse import MAGNITUDES as MAGNITUDES
from .collapse import collapse_of_model as collapse_of_model
from .collapse import collapse_of_scores as collapse_of_scores
from .collapse import draw as draw
from .roots import approximate as approximate
from .saturation import Survey as Survey
from .saturation import along_inputs as along_inputs
from .saturation import draw_boundary as draw_boundary
from .saturation import follow as follow
from .saturation import has_boundary as has_boundary
from .saturation import survey as survey
from .strategies import STRATEGIES as STRATEGIES
from .strategies import distances as distances
from .strategies import nearest_listing as nearest_listing
from .strategies import nearest_strategies as nearest_strategies
from .strategies import shares_of_nearest as shares_of_nearest

__all__ = [
    "MAGNITUDES",
    "STRATEGIES",
    "Survey",
    "along_inputs",
    "approximate",
    "collapse_of_model",
    "collapse_of_scores",
    "distances",
    "draw",
    "draw_boundary",
    "follow",
    "has_boundary",
    "nearest_listing",
    "nearest_strategies",
    "shares_of_nearest",
    "survey",
]
