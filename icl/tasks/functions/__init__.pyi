from .classes import FunctionClass as FunctionClass
from .estimators import ESTIMATORS as ESTIMATORS
from .linear import Affine as Affine
from .series import Polynomial as Polynomial
from .table import FUNCTIONS as FUNCTIONS
from .table import function_class as function_class
from .values import SKIP as SKIP
from .values import FunctionTask as FunctionTask
from .values import require_functions as require_functions

__all__ = [
    "ESTIMATORS",
    "FUNCTIONS",
    "SKIP",
    "Affine",
    "FunctionClass",
    "FunctionTask",
    "Polynomial",
    "function_class",
    "require_functions",
]
