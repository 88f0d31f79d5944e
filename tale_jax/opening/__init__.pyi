from .from_run import Opened as Opened
from .from_run import open_subject as open_subject
from .from_run import open_variants as open_variants
from .from_run import reopen_model as reopen_model
from .from_run import reopen_scorer as reopen_scorer
from .from_run import run_options as run_options
from .named import dated as dated
from .named import fingerprints as fingerprints
from .named import identify as identify
from .named import identify_task as identify_task
from .named import identify_tasks as identify_tasks
from .named import open_scorer as open_scorer
from .named import open_scorers as open_scorers
from .named import read_task as read_task
from .named import render_task as render_task

__all__ = [
    "Opened",
    "dated",
    "fingerprints",
    "identify",
    "identify_task",
    "identify_tasks",
    "open_scorer",
    "open_scorers",
    "open_subject",
    "open_variants",
    "read_task",
    "render_task",
    "reopen_model",
    "reopen_scorer",
    "run_options",
]
