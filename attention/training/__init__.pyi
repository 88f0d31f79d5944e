from .backends import for_training as for_training
from .checkpoints import load_params as load_params
from .learned import learned_values as learned_values
from .learned import plot_learned as plot_learned
from .loop import fit as fit
from .lora import init_lora as init_lora
from .lora import lora_axes as lora_axes
from .lora import merge_lora as merge_lora
from .metric_lines import read_metrics as read_metrics
from .metrics import loss_figure as loss_figure
from .schedules import SCHEDULES as SCHEDULES
from .schedules import make_schedule as make_schedule
from .sharding import batch_sharding as batch_sharding
from .sharding import param_shardings as param_shardings
from .sharding import transformer_axes as transformer_axes
from .step import TrainState as TrainState
from .step import make_step as make_step
from .step import state_shardings as state_shardings
from .weight_decay import decayed as decayed

__all__ = [
    "SCHEDULES",
    "TrainState",
    "batch_sharding",
    "decayed",
    "fit",
    "for_training",
    "init_lora",
    "learned_values",
    "load_params",
    "lora_axes",
    "loss_figure",
    "make_schedule",
    "make_step",
    "merge_lora",
    "param_shardings",
    "plot_learned",
    "read_metrics",
    "state_shardings",
    "transformer_axes",
]
