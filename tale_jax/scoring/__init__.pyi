from .forward import halves_left as halves_left
from .forward import last_states as last_states
from .forward import layer_states as layer_states
from .forward import without_layers as without_layers
from .protocols import Decode as Decode
from .protocols import Loglikelihood as Loglikelihood
from .scorer import Scorer as Scorer

__all__ = [
    "Decode",
    "Loglikelihood",
    "Scorer",
    "halves_left",
    "last_states",
    "layer_states",
    "without_layers",
]
