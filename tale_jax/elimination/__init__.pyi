from .control import NullControl as NullControl
from .control import compare_gains as compare_gains
from .early_rejection import AtMost as AtMost
from .early_rejection import race as race
from .loop import eliminate as eliminate
from .options import SearchOptions as SearchOptions
from .options import SearchRules as SearchRules
from .results import Candidate as Candidate
from .results import Result as Result
from .results import StopReason as StopReason
from .strategies import STRATEGIES as STRATEGIES
from .strategies import Strategy as Strategy

__all__ = [
    "STRATEGIES",
    "AtMost",
    "Candidate",
    "NullControl",
    "Result",
    "SearchOptions",
    "SearchRules",
    "StopReason",
    "Strategy",
    "compare_gains",
    "eliminate",
    "race",
]
