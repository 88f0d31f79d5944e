from . import comparing as comparing
from . import corpora as corpora
from . import pretraining as pretraining
from . import probing as probing
from .labelled_texts import Dataset as Dataset
from .labelled_texts import Kind as Kind
from .labelled_texts import LabelledText as LabelledText
from .labelled_texts import Row as Row
from .labelled_texts import Source as Source
from .labelled_texts import Split as Split
from .model_inputs import encode_pieces as encode_pieces
from .model_inputs import encode_words as encode_words
from .model_inputs import with_labels_of as with_labels_of
from .ngrams import FLOORS as FLOORS
from .ngrams import NgramModel as NgramModel
from .ngrams import fit_floors as fit_floors
from .sources import SOURCES as SOURCES
from .sources import generate_texts as generate_texts
from .sources import load_texts as load_texts

__all__ = [
    "FLOORS",
    "SOURCES",
    "Dataset",
    "Kind",
    "LabelledText",
    "NgramModel",
    "Row",
    "Source",
    "Split",
    "comparing",
    "corpora",
    "encode_pieces",
    "encode_words",
    "fit_floors",
    "generate_texts",
    "load_texts",
    "pretraining",
    "probing",
    "with_labels_of",
]
