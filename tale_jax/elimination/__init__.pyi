from .control import NullControl as NullControl
from .control import compare_gains as compare_gains
from .greedy import Candidate as Candidate
from .greedy import Dropped as Dropped
from .greedy import Floor as Floor
from .greedy import Result as Result
from .greedy import eliminate as eliminate
from .greedy import exact_epsilon as exact_epsilon
from .racing import AtMost as AtMost
from .racing import race as race
from .strategies import search_layers as search_layers

__all__ = [
    "AtMost",
    "Candidate",
    "Dropped",
    "Floor",
    "NullControl",
    "Result",
    "compare_gains",
    "eliminate",
    "exact_epsilon",
    "race",
    "search_layers",
]
