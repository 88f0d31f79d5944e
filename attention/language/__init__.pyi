from .classification import Dataset as Dataset
from .classification import Example as Example
from .classification import demo as demo
from .classification import load as load
from .reading import load_tokenizer as load_tokenizer
from .reading import read as read
from .reading import with_labels_of as with_labels_of

__all__ = [
    "Dataset",
    "Example",
    "demo",
    "load",
    "load_tokenizer",
    "read",
    "with_labels_of",
]
