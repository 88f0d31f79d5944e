from .checkpoint import abstract_params as abstract_params
from .checkpoint import load_pretrained as load_pretrained
from .checkpoint import save_pretrained as save_pretrained
from .config import from_hf as from_hf
from .safetensor_files import checkpoint_folder as checkpoint_folder
from .safetensor_files import read_json as read_json

__all__ = [
    "abstract_params",
    "checkpoint_folder",
    "from_hf",
    "load_pretrained",
    "read_json",
    "save_pretrained",
]
