from .export import Export as Export
from .pushing import check_push as check_push
from .pushing import push as push
from .table import FORMATS as FORMATS
from .table import Format as Format
from .writers import mergekit_recipe as mergekit_recipe

__all__ = ["FORMATS", "Export", "Format", "check_push", "mergekit_recipe", "push"]
