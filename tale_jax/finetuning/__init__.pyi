from .tuning import finetune as finetune

__all__ = [
    "finetune",
]
