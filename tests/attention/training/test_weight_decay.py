"""What weight decay leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attention.training.weight_decay import decayed
from attention.transformer import Transformer, TransformerConfig, unstack_layers


def test_only_matrices_shrink():
    config = TransformerConfig(
        hidden_size=6,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=7,
        vocab_size=11,
        attention_bias=True,
        normalizer="ssa:learn=n+b,per=head",
    )
    tokens = jnp.zeros((1, 2), jnp.int32)
    shapes = jax.eval_shape(Transformer(config).init, jax.random.key(0), tokens)["params"]
    stacked = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    optimizer = optax.adamw(0.1, weight_decay=0.5, mask=decayed)

    @jax.jit
    def step(params):
        still = jax.tree.map(jnp.zeros_like, params)
        return optimizer.update(still, optimizer.init(params), params)[0]

    for params in (stacked, unstack_layers(stacked)):
        updates = step(params)
        for path, update in jax.tree.leaves_with_path(updates):
            shrinks = path[-1].key in ("kernel", "embedding")
            assert np.any(np.asarray(update) != 0) == shrinks, path
            assert not (shrinks and path[-2].key in ("normalizer", "attention_norm"))
