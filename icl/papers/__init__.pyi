from .normalizer_tests import POINTS as POINTS
from .normalizer_tests import comparison_table as comparison_table
from .normalizer_tests import headline as headline
from .normalizer_tests import run_tests as run_tests
from .published import TABLE_2 as TABLE_2
from .published import evaluation_set as evaluation_set
from .published import table_2 as table_2
from .reproduction import Plan as Plan
from .reproduction import check as check
from .reproduction import trained_models as trained_models
from .reproduction import write_tables as write_tables

__all__ = [
    "POINTS",
    "TABLE_2",
    "Plan",
    "check",
    "comparison_table",
    "evaluation_set",
    "headline",
    "run_tests",
    "table_2",
    "trained_models",
    "write_tables",
]
