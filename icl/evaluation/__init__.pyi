from .bounds import effective_bound as effective_bound
from .comparison import Rows as Rows
from .comparison import evaluate as evaluate
from .comparison import run_tasks as run_tasks
from .reporting import tables as tables
from .reporting import write_report as write_report
from .trained_models import model_predictor as model_predictor
from .trained_models import predictors as predictors

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
