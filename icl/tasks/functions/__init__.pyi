from .classes import FunctionClass as FunctionClass
from .estimators import ESTIMATORS as ESTIMATORS
from .linear import Affine as Affine
from .roots import ROOT_AXES as ROOT_AXES
from .roots import RootQuestions as RootQuestions
from .roots import real_roots as real_roots
from .roots import root_questions as root_questions
from .series import Polynomial as Polynomial
from .table import FUNCTIONS as FUNCTIONS
from .table import function_class as function_class
from .values import SKIP as SKIP
from .values import FunctionTask as FunctionTask
from .values import require_functions as require_functions

__all__ = [
    "ESTIMATORS",
    "FUNCTIONS",
    "ROOT_AXES",
    "SKIP",
    "Affine",
    "FunctionClass",
    "FunctionTask",
    "Polynomial",
    "RootQuestions",
    "function_class",
    "real_roots",
    "require_functions",
    "root_questions",
]
