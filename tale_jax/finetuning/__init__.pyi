from .schedules import make_schedule as make_schedule
from .tuning import finetune as finetune

__all__ = [
    "finetune",
    "make_schedule",
]
