from .classes import FunctionClass as FunctionClass
from .classes import Loss as Loss
from .linear import Affine as Affine
from .linear import Classification as Classification
from .linear import Linear as Linear
from .linear import NoisyLinear as NoisyLinear
from .linear import Quadratic as Quadratic
from .linear import Sparse as Sparse
from .nonlinear import DecisionTree as DecisionTree
from .nonlinear import ReluNetwork as ReluNetwork
from .series import Chebyshev as Chebyshev
from .series import Polynomial as Polynomial
from .series import Series as Series
from .table import FUNCTIONS as FUNCTIONS
from .table import function_class as function_class

__all__ = [
    "FUNCTIONS",
    "Affine",
    "Chebyshev",
    "Classification",
    "DecisionTree",
    "FunctionClass",
    "Linear",
    "Loss",
    "NoisyLinear",
    "Polynomial",
    "Quadratic",
    "ReluNetwork",
    "Series",
    "Sparse",
    "function_class",
]
