from . import formulas as formulas
from .formulas import masked_softmax as masked_softmax
from .table import CONSTRAINTS as CONSTRAINTS
from .table import NORMALIZERS as NORMALIZERS
from .table import Normalizer as Normalizer
from .table import Parameter as Parameter
from .table import Params as Params
from .table import effective as effective
from .table import normalize as normalize
from .table import normalizer as normalizer

__all__ = [
    "CONSTRAINTS",
    "NORMALIZERS",
    "Normalizer",
    "Parameter",
    "Params",
    "effective",
    "formulas",
    "masked_softmax",
    "normalize",
    "normalizer",
]
