from .minimal_pairs import PAIR_SETS as PAIR_SETS
from .minimal_pairs import Pair as Pair
from .minimal_pairs import PairSet as PairSet
from .minimal_pairs import Paradigm as Paradigm
from .minimal_pairs import read_paradigms as read_paradigms

__all__ = ["PAIR_SETS", "Pair", "PairSet", "Paradigm", "read_paradigms"]
