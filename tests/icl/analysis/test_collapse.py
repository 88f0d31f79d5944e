"""How a deviant draws attention to itself."""

import jax
import numpy as np

from icl.analysis import collapse
from icl.training import init_all


def test_collapse():
    """A deviant takes all of softmax's weight, and of uniform weights nothing."""
    softmax, ssa = (collapse.collapse_of_scores(name) for name in ("softmax", "ssa"))
    assert softmax[-1, 0] == 1 and softmax[-1, 1] == 0
    middle = np.searchsorted(collapse.MAGNITUDES, 30)
    assert ssa[middle, 0] < 0.9 < 0.999 < softmax[middle, 0]  # (1 + 24)^1.5 against 31 others
    assert (np.diff(ssa[3:, 0]) > 0).all()  # once it is the largest
    most, entropy = collapse.spread(np.full((2, 8), 0.3))
    np.testing.assert_allclose([most, entropy], [1 / 8, np.log(8)], rtol=1e-6)


def test_collapse_of_a_model(untrained, monkeypatch):
    monkeypatch.setattr(collapse, "MAGNITUDES", np.array([1.0, 100.0]))
    config = untrained(preset="every-1l2ah").config
    params = init_all(config, range(2))
    found = collapse.collapse_of_model(config, params)
    assert found.shape == (2, 2) and (found[:, 0] < 1).all() and (found[:, 1] > 0).all()
    doubled = jax.tree.map(lambda x: 2 * x, params)
    assert not np.allclose(collapse.collapse_of_model(config, doubled), found)
    figure = collapse.draw({"a model": {"softmax": found, "the same": found, "other": 2 * found}})
    assert len(figure.legends[0].get_texts()) == 2  # equal curves are drawn once
