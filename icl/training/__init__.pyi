from .ahead import step_to_compile as step_to_compile
from .architectures import ModelOptions as ModelOptions
from .architectures import model as model
from .experiment import Experiment as Experiment
from .experiment import TrainingLayout as TrainingLayout
from .experiment import Updates as Updates
from .fitting import Params as Params
from .fitting import Trained as Trained
from .fitting import data_key as data_key
from .fitting import draw_of as draw_of
from .fitting import init as init
from .fitting import init_all as init_all
from .fitting import load as load
from .fitting import load_all as load_all
from .fitting import loss_of as loss_of
from .fitting import parts_of as parts_of
from .fitting import predict as predict
from .fitting import predict_last as predict_last
from .fitting import train as train
from .parameter_file import save_model as save_model
from .zoo import read_card as read_card
from .zoo import zoo_names as zoo_names

__all__ = [
    "Experiment",
    "ModelOptions",
    "Params",
    "Trained",
    "TrainingLayout",
    "Updates",
    "data_key",
    "draw_of",
    "init",
    "init_all",
    "load",
    "load_all",
    "loss_of",
    "model",
    "parts_of",
    "predict",
    "predict_last",
    "read_card",
    "save_model",
    "step_to_compile",
    "train",
    "zoo_names",
]
