from .batching import Arrays as Arrays
from .batching import Batch as Batch
from .batching import Row as Row
from .batching import batches as batches
from .batching import bucket as bucket
from .batching import one_row as one_row
from .batching import plan as plan
from .batching import shared_beginning as shared_beginning

__all__ = [
    "Arrays",
    "Batch",
    "Row",
    "batches",
    "bucket",
    "one_row",
    "plan",
    "shared_beginning",
]
