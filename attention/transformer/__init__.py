"""One transformer for every family: config, model, checkpoints, generation."""

from attention.transformer.config import RopeScaling, TransformerConfig
from attention.transformer.generation import Generated, generate
from attention.transformer.model import Transformer
from attention.transformer.stacking import keep_halves, keep_layers, stack_layers, unstack_layers
from attention.transformer.weights import abstract_params, load_pretrained, save_pretrained

__all__ = [
    "Generated",
    "RopeScaling",
    "Transformer",
    "TransformerConfig",
    "abstract_params",
    "generate",
    "keep_halves",
    "keep_layers",
    "load_pretrained",
    "save_pretrained",
    "stack_layers",
    "unstack_layers",
]
