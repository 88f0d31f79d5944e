from .ahead import search_step as search_step
from .choosing import Loglikelihood as Loglikelihood
from .choosing import choice_rows as choice_rows
from .forward import halves_left as halves_left
from .forward import last_states as last_states
from .forward import layer_states as layer_states
from .forward import without_layers as without_layers
from .joint import JointScorer as JointScorer
from .protocols import NAN as NAN
from .protocols import PROTOCOLS as PROTOCOLS
from .protocols import Asker as Asker
from .protocols import NotFiniteError as NotFiniteError
from .protocols import Protocol as Protocol
from .runner import Runner as Runner
from .scorer import Scorer as Scorer
from .splits import SPLITS as SPLITS
from .work import Amounts as Amounts
from .work import amounts as amounts
from .work import program_bytes as program_bytes
from .work import scorers_of as scorers_of
from .work import time_passes as time_passes
from .writing import Decode as Decode

__all__ = [
    "NAN",
    "PROTOCOLS",
    "SPLITS",
    "Amounts",
    "Asker",
    "Decode",
    "JointScorer",
    "Loglikelihood",
    "NotFiniteError",
    "Protocol",
    "Runner",
    "Scorer",
    "amounts",
    "choice_rows",
    "halves_left",
    "last_states",
    "layer_states",
    "program_bytes",
    "scorers_of",
    "search_step",
    "time_passes",
    "without_layers",
]
