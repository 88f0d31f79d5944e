from .job import Job as Job
from .job import OpenedJob as OpenedJob
from .job import open_job as open_job
from .one_search import run_job as run_job

__all__ = [
    "Job",
    "OpenedJob",
    "open_job",
    "run_job",
]
