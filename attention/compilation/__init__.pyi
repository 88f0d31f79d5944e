from .collectives import Collective as Collective
from .collectives import find_collectives as find_collectives
from .compiling import Report as Report
from .compiling import Step as Step
from .compiling import compile_step as compile_step
from .flops import count_flops as count_flops
from .known_configs import MODELS as MODELS
from .known_configs import read_config as read_config
from .known_configs import with_attention as with_attention
from .targets import CHIPS as CHIPS
from .targets import Chip as Chip
from .targets import Target as Target
from .targets import find_target as find_target
from .targets import prepare as prepare
from .workloads import compile_fitting as compile_fitting
from .workloads import decoding_step as decoding_step
from .workloads import kernel_step as kernel_step
from .workloads import step_for as step_for
from .workloads import training_mesh as training_mesh
from .workloads import training_step as training_step

__all__ = [
    "CHIPS",
    "MODELS",
    "Chip",
    "Collective",
    "Report",
    "Step",
    "Target",
    "compile_fitting",
    "compile_step",
    "count_flops",
    "decoding_step",
    "find_collectives",
    "find_target",
    "kernel_step",
    "prepare",
    "read_config",
    "step_for",
    "training_mesh",
    "training_step",
    "with_attention",
]
