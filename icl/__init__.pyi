from .commands.ask import ask as ask
from .commands.evaluate import evaluate as evaluate
from .commands.roots import roots as roots
from .commands.saturation import saturation as saturation
from .commands.train import train as train
from .commands.zoo import zoo as zoo

__all__ = ["ask", "evaluate", "roots", "saturation", "train", "zoo"]
