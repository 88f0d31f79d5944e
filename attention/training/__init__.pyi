from . import learned as learned
from .checkpoints import load_params as load_params
from .learned import learned_values as learned_values
from .learned import plot as plot
from .loop import fit as fit
from .sharding import LogicalRules as LogicalRules
from .sharding import batch_sharding as batch_sharding
from .sharding import make_mesh as make_mesh
from .sharding import param_shardings as param_shardings
from .sharding import transformer_axes as transformer_axes
from .step import TrainState as TrainState
from .step import make_step as make_step
from .weight_decay import decayed as decayed

__all__ = [
    "LogicalRules",
    "TrainState",
    "batch_sharding",
    "decayed",
    "fit",
    "learned",
    "learned_values",
    "load_params",
    "make_mesh",
    "make_step",
    "param_shardings",
    "plot",
    "transformer_axes",
]
