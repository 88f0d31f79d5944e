from .attention import attention_scores as attention_scores
from .attention import attention_weights as attention_weights
from .attention import dot_product_attention as dot_product_attention
from .attention import weighted_values as weighted_values
from .benchmark import Shape as Shape
from .benchmark import measure as measure
from .derivatives import projected as projected
from .derivatives import standardized as standardized
from .derivatives import standardized_by_rule as standardized_by_rule
from .prefix import attention_behind_prefix as attention_behind_prefix
from .prefix import splits as splits

__all__ = [
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
    "weighted_values",
]
