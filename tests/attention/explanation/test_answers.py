"""A causal language model read as a classifier of its answers."""

import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.explanation import answering_classifier
from attention.transformer import Transformer


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True, "logits_scaling": 1.7}])
def test_labels_have_the_logits_of_their_tokens(tiny_config, init_params, changes):
    config = tiny_config(num_hidden_layers=2, **changes)
    params, answers = init_params(config, 3), [11, 2, 29]
    labelled, own = answering_classifier(config, params, answers)
    tokens, where = np.arange(14).reshape(2, 7) % 53, np.arange(7) < np.array([[7], [4]])
    run = jax.jit(Transformer(config).apply)
    logits_BTV = run({"params": params}, tokens, where=where)
    found_BC = jax.jit(Transformer(labelled).apply)({"params": own}, tokens, where=where)
    expected = [logits_BTV[0, 6, answers], logits_BTV[1, 3, answers]]
    np.testing.assert_allclose(found_BC, expected, rtol=2e-5, atol=1e-6)


def test_what_is_no_such_model_is_refused(tiny_config, init_params):
    config = tiny_config(num_hidden_layers=1)
    params = init_params(config)
    with pytest.raises(InputError, match=r"not \[53\]"):
        answering_classifier(config, params, [1, 53])
    with pytest.raises(InputError, match="without a cap"):
        answering_classifier(tiny_config(final_logit_softcapping=3.0), params, [1])
    with pytest.raises(InputError, match="causal language models"):
        answering_classifier(tiny_config(head="none"), params, [1])
