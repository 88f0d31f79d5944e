from . import formats as formats
from .formats import described as described
from .formats import export as export
from .formats import export_layers as export_layers
from .formats import searched_folder as searched_folder
from .formats import what_is_kept as what_is_kept

__all__ = [
    "described",
    "export",
    "export_layers",
    "formats",
    "searched_folder",
    "what_is_kept",
]
