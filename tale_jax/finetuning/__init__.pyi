from .tuning import tune as tune

__all__ = [
    "tune",
]
