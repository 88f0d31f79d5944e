from .batches import Arrays as Arrays
from .batches import Batch as Batch
from .batches import Shape as Shape
from .batches import bucket as bucket
from .batches import choose_shapes as choose_shapes
from .batches import fetch as fetch
from .batches import join as join
from .batches import load_batches as load_batches
from .batches import one_row as one_row
from .batches import shared_beginning as shared_beginning
from .cross_entropy import SummedLoss as SummedLoss
from .cross_entropy import summed_loss as summed_loss
from .memory import RowBatches as RowBatches
from .memory import when_memory_runs_out as when_memory_runs_out
from .rows import Row as Row
from .rows import check_tokens as check_tokens
from .rows import check_vocabulary as check_vocabulary
from .targets import TargetScores as TargetScores
from .targets import score_targets as score_targets
from .targets import token_log_probs as token_log_probs

__all__ = [
    "Arrays",
    "Batch",
    "Row",
    "RowBatches",
    "Shape",
    "SummedLoss",
    "TargetScores",
    "bucket",
    "check_tokens",
    "check_vocabulary",
    "choose_shapes",
    "fetch",
    "join",
    "load_batches",
    "one_row",
    "score_targets",
    "shared_beginning",
    "summed_loss",
    "token_log_probs",
    "when_memory_runs_out",
]
