from .base2 import LOG2E as LOG2E
from .base2 import precise_log2 as precise_log2
from .definition import CONSTRAINTS as CONSTRAINTS
from .definition import Normalizer as Normalizer
from .definition import Parameter as Parameter
from .definition import Params as Params
from .formulas import masked_softmax as masked_softmax
from .specification import with_cap as with_cap
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
    "precise_log2",
    "with_cap",
]
