from . import fitting as fitting
from .experiments import QUANTIFIERS as QUANTIFIERS
from .experiments import Experiment as Experiment
from .fitting import Trained as Trained
from .fitting import data_key as data_key
from .fitting import draw_of as draw_of
from .fitting import init as init
from .fitting import loss_of as loss_of
from .fitting import parts_of as parts_of

__all__ = [
    "QUANTIFIERS",
    "Experiment",
    "Trained",
    "data_key",
    "draw_of",
    "fitting",
    "init",
    "loss_of",
    "parts_of",
]
