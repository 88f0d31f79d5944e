from .base2 import LOG2E as LOG2E
from .formulas import masked_softmax as masked_softmax
from .row import CONSTRAINTS as CONSTRAINTS
from .row import Normalizer as Normalizer
from .row import Parameter as Parameter
from .row import Params as Params
from .table import NORMALIZERS as NORMALIZERS
from .weights import effective as effective
from .weights import normalize as normalize

__all__ = [
    "CONSTRAINTS",
    "LOG2E",
    "NORMALIZERS",
    "Normalizer",
    "Parameter",
    "Params",
    "effective",
    "masked_softmax",
    "normalize",
]
