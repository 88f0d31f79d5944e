from .answering import Answerer as Answerer
from .answering import checkpoint as checkpoint
from .answering import endpoint as endpoint
from .questions import KINDS as KINDS
from .questions import ask as ask
from .questions import ask_roots as ask_roots
from .questions import check as check

__all__ = ["KINDS", "Answerer", "ask", "ask_roots", "check", "checkpoint", "endpoint"]
