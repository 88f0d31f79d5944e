from .export import Export as Export
from .table import FORMATS as FORMATS
from .table import Format as Format
from .writers import mergekit_recipe as mergekit_recipe

__all__ = ["FORMATS", "Export", "Format", "mergekit_recipe"]
