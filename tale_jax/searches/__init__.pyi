from .damage import DamageCheck as DamageCheck
from .damage import open_check as open_check
from .forecast import describe_forecast as describe_forecast
from .forecast import foresee as foresee
from .job import Job as Job
from .job import OpenedJob as OpenedJob
from .job import open_job as open_job
from .one_search import run_job as run_job

__all__ = [
    "DamageCheck",
    "Job",
    "OpenedJob",
    "describe_forecast",
    "foresee",
    "open_check",
    "open_job",
    "run_job",
]
