from . import errors as errors
from . import plots as plots
from . import quantifier_evaluation as quantifier_evaluation
from . import reporting as reporting
from . import sweeps as sweeps
from .errors import evaluate as evaluate
from .errors import forward as forward
from .errors import functions_of as functions_of
from .errors import write_csv as write_csv
from .quantifier_evaluation import Asked as Asked
from .quantifier_evaluation import Labels as Labels
from .quantifier_evaluation import Predictor as Predictor
from .quantifier_evaluation import drawn as drawn
from .quantifier_evaluation import model_predictor as model_predictor
from .quantifier_evaluation import score as score
from .quantifier_evaluation import scored as scored
from .sweeps import SKIP as SKIP
from .sweeps import Case as Case
from .sweeps import Design as Design
from .sweeps import read_deviant as read_deviant

__all__ = [
    "SKIP",
    "Asked",
    "Case",
    "Design",
    "Labels",
    "Predictor",
    "drawn",
    "errors",
    "evaluate",
    "forward",
    "functions_of",
    "model_predictor",
    "plots",
    "quantifier_evaluation",
    "read_deviant",
    "reporting",
    "score",
    "scored",
    "sweeps",
    "write_csv",
]
