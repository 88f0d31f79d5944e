from .consequences import checked_recipe as checked_recipe
from .consequences import config_of as config_of
from .consequences import recipe_config as recipe_config
from .experiment import Changes as Changes
from .experiment import Pretraining as Pretraining
from .experiment import Text as Text
from .experiment import Work as Work
from .fitting import pretrain as pretrain
from .held_out import floors as floors
from .loss import batch_loss as batch_loss
from .loss import loss_of as loss_of
from .material import Material as Material
from .material import prepare as prepare
from .objectives import OBJECTIVES as OBJECTIVES
from .objectives import Objective as Objective
from .optimizers import OPTIMIZERS as OPTIMIZERS
from .optimizers import make_optimizer as make_optimizer
from .recipes import RECIPES as RECIPES
from .recipes import Recipe as Recipe
from .starting import computed as computed
from .starting import initial as initial
from .starting import optimizer_of as optimizer_of
from .starting import parts_of as parts_of

__all__ = [
    "OBJECTIVES",
    "OPTIMIZERS",
    "RECIPES",
    "Changes",
    "Material",
    "Objective",
    "Pretraining",
    "Recipe",
    "Text",
    "Work",
    "batch_loss",
    "checked_recipe",
    "computed",
    "config_of",
    "floors",
    "initial",
    "loss_of",
    "make_optimizer",
    "optimizer_of",
    "parts_of",
    "prepare",
    "pretrain",
    "recipe_config",
]
