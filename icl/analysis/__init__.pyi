from .collapse import MAGNITUDES as MAGNITUDES
from .collapse import collapse_of_model as collapse_of_model
from .collapse import collapse_of_scores as collapse_of_scores
from .collapse import draw as draw
from .roots import approximate as approximate
from .saturation import Survey as Survey
from .saturation import along_inputs as along_inputs
from .saturation import draw_boundary as draw_boundary
from .saturation import survey as survey

__all__ = [
    "MAGNITUDES",
    "Survey",
    "along_inputs",
    "approximate",
    "collapse_of_model",
    "collapse_of_scores",
    "draw",
    "draw_boundary",
    "survey",
]
