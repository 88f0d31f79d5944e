from .answers import ANSWERS as ANSWERS
from .balanced_scores import measures as measures
from .designs import DESIGNS as DESIGNS
from .sentences import Quantifiers as Quantifiers
from .sentences import truth as truth

__all__ = ["ANSWERS", "DESIGNS", "Quantifiers", "measures", "truth"]
