from .answers import ANSWERS as ANSWERS
from .designs import DESIGNS as DESIGNS
from .measures import measures as measures
from .sentences import Quantifiers as Quantifiers
from .sentences import truth as truth

__all__ = ["ANSWERS", "DESIGNS", "Quantifiers", "measures", "truth"]
