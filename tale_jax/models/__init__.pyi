from .loaded import DEMO as DEMO
from .loaded import LoadedModel as LoadedModel
from .loaded import fingerprint as fingerprint
from .loaded import load_model as load_model
from .loaded import model_folder as model_folder
from .loaded import searched_folder as searched_folder

__all__ = [
    "DEMO",
    "LoadedModel",
    "fingerprint",
    "load_model",
    "model_folder",
    "searched_folder",
]
