from .active_set import by_active_set as by_active_set
from .min_support import reduced as reduced
from .path import GAP as GAP
from .path import RESIDUAL as RESIDUAL
from .path import RIDGE as RIDGE
from .smallest_norm import min_norm as min_norm
from .smallest_norm import together as together

__all__ = [
    "GAP",
    "RESIDUAL",
    "RIDGE",
    "by_active_set",
    "min_norm",
    "reduced",
    "together",
]
