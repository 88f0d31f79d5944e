from .cards import PUBLISHED_STEPS as PUBLISHED_STEPS
from .cards import card_of as card_of
from .normalizer_tests import POINTS as POINTS
from .normalizer_tests import comparison_table as comparison_table
from .normalizer_tests import headline as headline
from .normalizer_tests import run_tests as run_tests
from .published import LAWS as LAWS
from .published import TABLES as TABLES
from .published import PublishedRow as PublishedRow
from .published import PublishedTable as PublishedTable
from .published import beside_published as beside_published
from .published import evaluation_set as evaluation_set
from .reproduction import Plan as Plan
from .reproduction import check as check
from .reproduction import examined as examined
from .reproduction import trained_models as trained_models
from .reproduction import write_tables as write_tables

__all__ = [
    "LAWS",
    "POINTS",
    "PUBLISHED_STEPS",
    "TABLES",
    "Plan",
    "PublishedRow",
    "PublishedTable",
    "beside_published",
    "card_of",
    "check",
    "comparison_table",
    "evaluation_set",
    "examined",
    "headline",
    "run_tests",
    "trained_models",
    "write_tables",
]
