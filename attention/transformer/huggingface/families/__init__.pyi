from .definition import COMMON_FIELDS as COMMON_FIELDS
from .definition import LAYER_NORMED as LAYER_NORMED
from .definition import Family as Family
from .definition import HfConfig as HfConfig
from .gguf_layouts import Layout as Layout
from .llama_like import LLAMA_FIELDS as LLAMA_FIELDS
from .llama_like import LLAMA_TENSORS as LLAMA_TENSORS
from .rope_settings import read_rope as read_rope
from .rope_settings import rope_parameters as rope_parameters
from .rope_settings import write_rope as write_rope
from .table import FAMILIES as FAMILIES
from .table import tensor_table as tensor_table
from .tensors import ATTENTION as ATTENTION
from .tensors import TRANSFORMS as TRANSFORMS
from .tensors import Row as Row
from .tensors import Table as Table
from .tensors import Transform as Transform
from .tensors import linear as linear
from .tensors import norm as norm
from .tensors import row as row

__all__ = [
    "ATTENTION",
    "COMMON_FIELDS",
    "FAMILIES",
    "LAYER_NORMED",
    "LLAMA_FIELDS",
    "LLAMA_TENSORS",
    "TRANSFORMS",
    "Family",
    "HfConfig",
    "Layout",
    "Row",
    "Table",
    "Transform",
    "linear",
    "norm",
    "read_rope",
    "rope_parameters",
    "row",
    "tensor_table",
    "write_rope",
]
