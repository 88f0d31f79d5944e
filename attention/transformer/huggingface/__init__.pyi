from .config import own_attributes as own_attributes
from .pretrained import load_config as load_config
from .pretrained import load_ignored as load_ignored
from .pretrained import load_pretrained as load_pretrained
from .pretrained import save_gguf as save_gguf
from .pretrained import save_pretrained as save_pretrained
from .sources import checkpoint_folder as checkpoint_folder
from .torch_attention import load_in_torch as load_in_torch

__all__ = [
    "checkpoint_folder",
    "load_config",
    "load_ignored",
    "load_in_torch",
    "load_pretrained",
    "own_attributes",
    "save_gguf",
    "save_pretrained",
]
