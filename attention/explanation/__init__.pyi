from .adversary import Goal as Goal
from .adversary import train_adversary as train_adversary
from .classifier import Inputs as Inputs
from .classifier import Probe as Probe
from .efficient import effective_attention as effective_attention
from .efficient import efficient_attention as efficient_attention
from .efficient import solve as solve
from .example import explain_example as explain_example
from .head_matrices import column_space as column_space
from .head_matrices import heads as heads
from .head_matrices import with_ones as with_ones
from .report import write_report as write_report

__all__ = [
    "Goal",
    "Inputs",
    "Probe",
    "column_space",
    "effective_attention",
    "efficient_attention",
    "explain_example",
    "heads",
    "solve",
    "train_adversary",
    "with_ones",
    "write_report",
]
