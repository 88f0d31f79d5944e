from .commands.evaluate import evaluate as evaluate
from .commands.export import export as export
from .commands.search import search as search

__all__ = ["evaluate", "export", "search"]

__version__: str
