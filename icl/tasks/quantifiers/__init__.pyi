from .answers import ANSWERS as ANSWERS
from .balanced_scores import measures as measures
from .designs import DESIGNS as DESIGNS
from .designs import truth as truth
from .sentences import Quantifiers as Quantifiers

__all__ = ["ANSWERS", "DESIGNS", "Quantifiers", "measures", "truth"]
