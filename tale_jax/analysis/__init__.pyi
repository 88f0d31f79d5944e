from .latency import USUAL_WORK as USUAL_WORK
from .latency import Workload as Workload
from .latency import measure_models as measure_models
from .latency import speed_ups as speed_ups
from .latency import write_measurements as write_measurements

__all__ = [
    "USUAL_WORK",
    "Workload",
    "measure_models",
    "speed_ups",
    "write_measurements",
]
