from . import published as published
from . import reproduction as reproduction
from .published import evaluation_set as evaluation_set
from .scoring_tests import POINTS as POINTS
from .scoring_tests import deviated as deviated
from .scoring_tests import table as table
from .scoring_tests import test as test
from .scoring_tests import value_of as value_of

__all__ = [
    "POINTS",
    "deviated",
    "evaluation_set",
    "published",
    "reproduction",
    "table",
    "test",
    "value_of",
]
