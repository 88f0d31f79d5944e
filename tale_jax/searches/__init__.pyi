from .damage import DamageCheck as DamageCheck
from .damage import open_check as open_check
from .forecast import describe_forecast as describe_forecast
from .forecast import foresee as foresee
from .job import Job as Job
from .job import OpenedJob as OpenedJob
from .job import open_job as open_job
from .one_search import run_job as run_job
from .repeats import run_repeats as run_repeats
from .stability import jaccard as jaccard
from .stability import stability_figure as stability_figure
from .stability import summarise_sizes as summarise_sizes

__all__ = [
    "DamageCheck",
    "Job",
    "OpenedJob",
    "describe_forecast",
    "foresee",
    "jaccard",
    "open_check",
    "open_job",
    "run_job",
    "run_repeats",
    "stability_figure",
    "summarise_sizes",
]
