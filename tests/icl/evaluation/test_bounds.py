"""The bound that explains a row of errors."""

import numpy as np
import pytest

from icl.evaluation import effective_bound


@pytest.mark.parametrize("bound", [0.5, 3.0, 9.0])
def test_the_effective_bound_of_a_clipped_row(bound):
    rng = np.random.default_rng(2)
    values = [sigma * rng.normal(size=500) for sigma in range(1, 11)]
    errors = [float(np.mean(np.maximum(abs(y) - bound, 0) ** 2)) for y in values]
    assert effective_bound(values, errors) == pytest.approx(bound, rel=1e-3)
