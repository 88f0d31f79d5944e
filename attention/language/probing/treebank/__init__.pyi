from .layer_probes import measure_layers as measure_layers
from .word_labels import FOLDERS as FOLDERS
from .word_labels import WORD_LABELS as WORD_LABELS
from .word_labels import ParsedSentence as ParsedSentence
from .word_labels import WordLabel as WordLabel
from .word_labels import read_treebank as read_treebank

__all__ = [
    "FOLDERS",
    "WORD_LABELS",
    "ParsedSentence",
    "WordLabel",
    "measure_layers",
    "read_treebank",
]
