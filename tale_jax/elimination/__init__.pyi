from .control import NullControl as NullControl
from .control import compare_gains as compare_gains
from .early_rejection import AtMost as AtMost
from .early_rejection import Part as Part
from .early_rejection import race as race
from .early_rejection import race_by_task as race_by_task
from .loop import eliminate as eliminate
from .loop import score_masks as score_masks
from .objectives import OBJECTIVES as OBJECTIVES
from .objectives import Joint as Joint
from .objectives import Objective as Objective
from .options import SearchOptions as SearchOptions
from .options import SearchRules as SearchRules
from .results import Candidate as Candidate
from .results import Result as Result
from .results import StopReason as StopReason
from .stopping import Gauges as Gauges
from .stopping import PartTimes as PartTimes
from .strategies import STRATEGIES as STRATEGIES
from .strategies import Strategy as Strategy

__all__ = [
    "OBJECTIVES",
    "STRATEGIES",
    "AtMost",
    "Candidate",
    "Gauges",
    "Joint",
    "NullControl",
    "Objective",
    "Part",
    "PartTimes",
    "Result",
    "SearchOptions",
    "SearchRules",
    "StopReason",
    "Strategy",
    "compare_gains",
    "eliminate",
    "race",
    "race_by_task",
    "score_masks",
]
