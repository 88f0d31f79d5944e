from .benchmark import Shape as Shape
from .benchmark import measure as measure
from .derivatives import projected as projected
from .derivatives import standardized as standardized
from .derivatives import standardized_by_rule as standardized_by_rule
from .derivatives import transposed_apart as transposed_apart
from .implementations import IMPLEMENTATIONS as IMPLEMENTATIONS
from .implementations import Implementation as Implementation
from .implementations import dot_product_attention as dot_product_attention
from .prefix import attention_behind_prefix as attention_behind_prefix
from .prefix import splits as splits
from .reference import attention_scores as attention_scores
from .reference import attention_weights as attention_weights
from .reference import weighted_values as weighted_values

__all__ = [
    "IMPLEMENTATIONS",
    "Implementation",
    "Shape",
    "attention_behind_prefix",
    "attention_scores",
    "attention_weights",
    "dot_product_attention",
    "measure",
    "projected",
    "splits",
    "standardized",
    "standardized_by_rule",
    "transposed_apart",
    "weighted_values",
]
