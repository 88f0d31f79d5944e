from .calibration import answer_rows as answer_rows
from .calibration import calibration_rows as calibration_rows
from .measures import attention_costs as attention_costs
from .measures import block_influence as block_influence
from .measures import row_losses as row_losses
from .proposals import Basis as Basis
from .proposals import propose_by as propose_by
from .table import CRITERIA as CRITERIA
from .table import Criterion as Criterion
from .table import RankingOptions as RankingOptions
from .table import check_criterion as check_criterion

__all__ = [
    "CRITERIA",
    "Basis",
    "Criterion",
    "RankingOptions",
    "answer_rows",
    "attention_costs",
    "block_influence",
    "calibration_rows",
    "check_criterion",
    "propose_by",
    "row_losses",
]
