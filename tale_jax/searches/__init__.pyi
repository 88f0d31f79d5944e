from .forecast import describe_forecast as describe_forecast
from .forecast import foresee as foresee
from .job import Job as Job
from .job import OpenedJob as OpenedJob
from .job import open_job as open_job
from .one_search import run_job as run_job

__all__ = [
    "Job",
    "OpenedJob",
    "describe_forecast",
    "foresee",
    "open_job",
    "run_job",
]
