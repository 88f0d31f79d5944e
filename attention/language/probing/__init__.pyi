from .measured import Found as Found
from .measured import Subject as Subject
from .measured import compare_scores as compare_scores
from .measured import macro_mean as macro_mean
from .measured import paradigm_row as paradigm_row
from .minimal_pairs import PAIR_SETS as PAIR_SETS
from .minimal_pairs import Pair as Pair
from .minimal_pairs import PairSet as PairSet
from .minimal_pairs import Paradigm as Paradigm
from .minimal_pairs import read_paradigms as read_paradigms
from .opening import OpenedModel as OpenedModel
from .opening import open_model as open_model
from .options import Asked as Asked
from .pipeline import probe_model as probe_model
from .rules import RULES as RULES
from .rules import Rule as Rule
from .sentences import Sentence as Sentence
from .sentences import score_sentences as score_sentences
from .tasks import PROBES as PROBES
from .tasks import Probe as Probe
from .treebank import WORD_LABELS as WORD_LABELS
from .treebank import WordLabel as WordLabel

__all__ = [
    "PAIR_SETS",
    "PROBES",
    "RULES",
    "WORD_LABELS",
    "Asked",
    "Found",
    "OpenedModel",
    "Pair",
    "PairSet",
    "Paradigm",
    "Probe",
    "Rule",
    "Sentence",
    "Subject",
    "WordLabel",
    "compare_scores",
    "macro_mean",
    "open_model",
    "paradigm_row",
    "probe_model",
    "read_paradigms",
    "score_sentences",
]
