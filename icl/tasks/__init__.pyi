from .baselines import Baseline as Baseline
from .baselines import Predictor as Predictor
from .baselines import baseline as baseline
from .distributions import DISTRIBUTIONS as DISTRIBUTIONS
from .distributions import Distribution as Distribution
from .distributions import Normal as Normal
from .distributions import distribution as distribution
from .functions import ROOT_AXES as ROOT_AXES
from .functions import require_functions as require_functions
from .kind import Listing as Listing
from .kind import Measure as Measure
from .kind import Row as Row
from .kind import Task as Task
from .kind import shown as shown
from .losses import LOGISTIC as LOGISTIC
from .losses import SQUARED as SQUARED
from .losses import Loss as Loss
from .options import Form as Form
from .options import PromptOptions as PromptOptions
from .options import Sampling as Sampling
from .options import TaskOptions as TaskOptions
from .options import given_options as given_options
from .prompting import PROMPTINGS as PROMPTINGS
from .prompting import Prompting as Prompting
from .prompts import Case as Case
from .prompts import Inputs as Inputs
from .prompts import Prompts as Prompts
from .prompts import Setting as Setting
from .prompts import Values as Values
from .prompts import counted as counted
from .prompts import inputs_and_places as inputs_and_places
from .prompts import with_deviant as with_deviant
from .sweeps import Axis as Axis
from .table import TASKS as TASKS
from .table import TaskRow as TaskRow
from .table import task_asked as task_asked

__all__ = [
    "DISTRIBUTIONS",
    "LOGISTIC",
    "PROMPTINGS",
    "ROOT_AXES",
    "SQUARED",
    "TASKS",
    "Axis",
    "Baseline",
    "Case",
    "Distribution",
    "Form",
    "Inputs",
    "Listing",
    "Loss",
    "Measure",
    "Normal",
    "Predictor",
    "PromptOptions",
    "Prompting",
    "Prompts",
    "Row",
    "Sampling",
    "Setting",
    "Task",
    "TaskOptions",
    "TaskRow",
    "Values",
    "baseline",
    "counted",
    "distribution",
    "given_options",
    "inputs_and_places",
    "require_functions",
    "shown",
    "task_asked",
    "with_deviant",
]
