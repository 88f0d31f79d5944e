from .calibration import calibration_rows as calibration_rows
from .ranking import CRITERIA as CRITERIA
from .ranking import Criterion as Criterion
from .ranking import Greedy as Greedy
from .ranking import answer_rows as answer_rows
from .ranking import make_criterion as make_criterion

__all__ = [
    "CRITERIA",
    "Criterion",
    "Greedy",
    "answer_rows",
    "calibration_rows",
    "make_criterion",
]
