from .distributions import Normal as Normal
from .distributions import distribution as distribution
from .function_task import FunctionTask as FunctionTask
from .function_task import Task as Task
from .function_task import curriculum as curriculum
from .function_task import prediction_loss as prediction_loss
from .prompts import Prompts as Prompts
from .prompts import in_order as in_order
from .prompts import inputs_and_places as inputs_and_places
from .prompts import with_deviant as with_deviant
from .quantifiers import Design as Design
from .quantifiers import Quantifiers as Quantifiers
from .quantifiers import measures as measures
from .quantifiers import truth as truth

__all__ = [
    "Design",
    "FunctionTask",
    "Normal",
    "Prompts",
    "Quantifiers",
    "Task",
    "curriculum",
    "distribution",
    "in_order",
    "inputs_and_places",
    "measures",
    "prediction_loss",
    "truth",
    "with_deviant",
]
