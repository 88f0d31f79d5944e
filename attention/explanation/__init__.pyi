from .adversary import adversarial_attention as adversarial_attention
from .adversary import train_adversary as train_adversary
from .classifier import Classifier as Classifier
from .classifier import Gradients as Gradients
from .classifier import Inputs as Inputs
from .decision import Decision as Decision
from .decision import answering_classifier as answering_classifier
from .distances import DISTANCES as DISTANCES
from .distances import PROPERTIES as PROPERTIES
from .distances import Measure as Measure
from .efficient import KINDS as KINDS
from .efficient import effective_attention as effective_attention
from .efficient import efficient_attention as efficient_attention
from .efficient import solve as solve
from .figures import draw_flips as draw_flips
from .head_matrices import Heads as Heads
from .head_matrices import column_space as column_space
from .head_matrices import heads as heads
from .head_matrices import with_ones as with_ones
from .interventions import INTERVENTIONS as INTERVENTIONS
from .interventions import Intervention as Intervention
from .interventions import by_layer as by_layer
from .layer_attention import DECOMPOSITIONS as DECOMPOSITIONS
from .layer_attention import Decomposition as Decomposition
from .layer_attention import LayerAttention as LayerAttention
from .measurements import measure_decision as measure_decision
from .options import Adversary as Adversary
from .options import DataFolder as DataFolder
from .options import Decisions as Decisions
from .options import Examined as Examined
from .pipeline import DEMO as DEMO
from .pipeline import explain_classifier as explain_classifier
from .pipeline import open_classifier as open_classifier
from .rankings import RANKINGS as RANKINGS
from .rankings import Ranking as Ranking
from .rankings import by_attention as by_attention
from .report import summary_texts as summary_texts
from .report import write_report as write_report
from .supports import SETS as SETS
from .supports import measure_context as measure_context
from .supports import measure_supports as measure_supports

__all__ = [
    "DECOMPOSITIONS",
    "DEMO",
    "DISTANCES",
    "INTERVENTIONS",
    "KINDS",
    "PROPERTIES",
    "RANKINGS",
    "SETS",
    "Adversary",
    "Classifier",
    "DataFolder",
    "Decision",
    "Decisions",
    "Decomposition",
    "Examined",
    "Gradients",
    "Heads",
    "Inputs",
    "Intervention",
    "LayerAttention",
    "Measure",
    "Ranking",
    "adversarial_attention",
    "answering_classifier",
    "by_attention",
    "by_layer",
    "column_space",
    "draw_flips",
    "effective_attention",
    "efficient_attention",
    "explain_classifier",
    "heads",
    "measure_context",
    "measure_decision",
    "measure_supports",
    "open_classifier",
    "solve",
    "summary_texts",
    "train_adversary",
    "with_ones",
    "write_report",
]
