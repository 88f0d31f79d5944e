from .bounds import effective_bound as effective_bound
from .comparison import Rows as Rows
from .comparison import evaluate as evaluate
from .comparison import run_tasks as run_tasks
from .predictors import model_predictor as model_predictor
from .predictors import predictors as predictors
from .reporting import tables as tables
from .reporting import write_report as write_report

__all__ = [
    "Rows",
    "effective_bound",
    "evaluate",
    "model_predictor",
    "predictors",
    "run_tasks",
    "tables",
    "write_report",
]
