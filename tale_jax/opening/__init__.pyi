from .from_run import chosen_layers as chosen_layers
from .from_run import model_and_layers as model_and_layers
from .from_run import reopen_model as reopen_model
from .from_run import reopen_scorer as reopen_scorer
from .named import identify as identify
from .named import open_model as open_model
from .named import open_scorer as open_scorer
from .named import read_task as read_task
from .named import task_fingerprint as task_fingerprint

__all__ = [
    "chosen_layers",
    "identify",
    "model_and_layers",
    "open_model",
    "open_scorer",
    "read_task",
    "reopen_model",
    "reopen_scorer",
    "task_fingerprint",
]
