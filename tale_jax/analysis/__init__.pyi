from .by_layer import layer_table as layer_table
from .comparison import COMPARISON_COLUMNS as COMPARISON_COLUMNS
from .comparison import add_p_values as add_p_values
from .comparison import comparison_figure as comparison_figure
from .comparison import follow_criterion as follow_criterion
from .continuation import encode_question as encode_question
from .continuation import write_side_by_side as write_side_by_side
from .evaluation import measure_against as measure_against
from .evaluation import measure_splits as measure_splits
from .information import INFORMATION_COLUMNS as INFORMATION_COLUMNS
from .information import QUESTIONS as QUESTIONS
from .information import label_examples as label_examples
from .information import probe_layers as probe_layers
from .latency import LATENCY_COLUMNS as LATENCY_COLUMNS
from .latency import check_workload as check_workload
from .latency import devices_of as devices_of
from .latency import measure_models as measure_models
from .latency import speed_ups as speed_ups
from .latency import time_parts as time_parts
from .layer_measures import measure_layers as measure_layers
from .lens import LENS_COLUMNS as LENS_COLUMNS
from .lens import lens_figure as lens_figure
from .lens import read_layers as read_layers
from .pareto import PARETO_COLUMNS as PARETO_COLUMNS
from .pareto import measure_front as measure_front
from .pareto import pareto_figure as pareto_figure
from .pareto import pareto_line as pareto_line
from .trade_off import accurate_enough as accurate_enough
from .trade_off import fast_enough as fast_enough
from .trade_off import pareto_front as pareto_front
from .trade_off import small_enough as small_enough
from .transfer import TRANSFER_COLUMNS as TRANSFER_COLUMNS
from .transfer import drops_by_task as drops_by_task
from .transfer import score_drops as score_drops
from .transfer import transfer_figure as transfer_figure
from .writing import write_rows as write_rows

__all__ = [
    "COMPARISON_COLUMNS",
    "INFORMATION_COLUMNS",
    "LATENCY_COLUMNS",
    "LENS_COLUMNS",
    "PARETO_COLUMNS",
    "QUESTIONS",
    "TRANSFER_COLUMNS",
    "accurate_enough",
    "add_p_values",
    "check_workload",
    "comparison_figure",
    "devices_of",
    "drops_by_task",
    "encode_question",
    "fast_enough",
    "follow_criterion",
    "label_examples",
    "layer_table",
    "lens_figure",
    "measure_against",
    "measure_front",
    "measure_layers",
    "measure_models",
    "measure_splits",
    "pareto_figure",
    "pareto_front",
    "pareto_line",
    "probe_layers",
    "read_layers",
    "score_drops",
    "small_enough",
    "speed_ups",
    "time_parts",
    "transfer_figure",
    "write_rows",
    "write_side_by_side",
]
