from .arithmetic import REMATS as REMATS
from .arithmetic import Remat as Remat
from .config import TransformerConfig as TransformerConfig
from .context import ALONE as ALONE
from .context import Branches as Branches
from .context import Cache as Cache
from .context import init_cache as init_cache
from .conversion import Drift as Drift
from .conversion import convert as convert
from .depth import run_layer as run_layer
from .depth import run_layers as run_layers
from .frequencies import ROPE_TYPES as ROPE_TYPES
from .frequencies import Rope as Rope
from .frequencies import RopeScaling as RopeScaling
from .frequencies import RopeType as RopeType
from .generation import Generated as Generated
from .generation import generate as generate
from .generation import jitted_generate as jitted_generate
from .generation import last_places as last_places
from .generation import write_behind as write_behind
from .huggingface import checkpoint_folder as checkpoint_folder
from .huggingface import load_config as load_config
from .huggingface import load_ignored as load_ignored
from .huggingface import load_in_torch as load_in_torch
from .huggingface import load_pretrained as load_pretrained
from .huggingface import save_pretrained as save_pretrained
from .model import Transformer as Transformer
from .model import abstract_params as abstract_params
from .model import parameter_bytes as parameter_bytes
from .model import parameter_counts as parameter_counts
from .positionwise import Dropout as Dropout
from .quantization import INPUT_AXES as INPUT_AXES
from .quantization import decoding_form as decoding_form
from .quantization import is_quantized as is_quantized
from .self_attention import Context as Context
from .self_attention import KeyValues as KeyValues
from .stacking import keep_halves as keep_halves
from .stacking import keep_layers as keep_layers
from .stacking import normalizer_params as normalizer_params
from .stacking import stack_layers as stack_layers
from .stacking import unstack_layers as unstack_layers
from .stacking import with_normalizer_params as with_normalizer_params

__all__ = [
    "ALONE",
    "INPUT_AXES",
    "REMATS",
    "ROPE_TYPES",
    "Branches",
    "Cache",
    "Context",
    "Drift",
    "Dropout",
    "Generated",
    "KeyValues",
    "Remat",
    "Rope",
    "RopeScaling",
    "RopeType",
    "Transformer",
    "TransformerConfig",
    "abstract_params",
    "checkpoint_folder",
    "convert",
    "decoding_form",
    "generate",
    "init_cache",
    "is_quantized",
    "jitted_generate",
    "keep_halves",
    "keep_layers",
    "last_places",
    "load_config",
    "load_ignored",
    "load_in_torch",
    "load_pretrained",
    "normalizer_params",
    "parameter_bytes",
    "parameter_counts",
    "run_layer",
    "run_layers",
    "save_pretrained",
    "stack_layers",
    "unstack_layers",
    "with_normalizer_params",
    "write_behind",
]
