from .arms import Arm as Arm
from .arms import Scores as Scores
from .arms import read_arms as read_arms
from .differences import Difference as Difference
from .differences import compare_arms as compare_arms
from .differences import compare_paradigms as compare_paradigms
from .differences import verdict as verdict
from .margins import MARGINS as MARGINS
from .margins import Margin as Margin
from .margins import margin_of as margin_of
from .report import compare_runs as compare_runs

__all__ = [
    "MARGINS",
    "Arm",
    "Difference",
    "Margin",
    "Scores",
    "compare_arms",
    "compare_paradigms",
    "compare_runs",
    "margin_of",
    "read_arms",
    "verdict",
]
