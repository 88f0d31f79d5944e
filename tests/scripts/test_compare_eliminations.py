"""The script that compares what two searches drop."""

from pathlib import Path

import numpy as np
import pytest

from attention.errors import InputError
from tale_jax.runs import FinishedRun


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("compare_eliminations")


def finished(name, order, correct, task="boolean", depth=7):
    """A search of a model that answers 50 of 100, and drops layers in an order."""
    steps = [
        {"iteration": i + 1, "layer": layer, "correct": n, "total": 100,
         "dropped": sorted(order[: i + 1])}
        for i, (layer, n) in enumerate(zip(order, correct, strict=True))
    ]  # fmt: skip
    kept = [row for row in steps if row["correct"] >= 50]
    whole = {"correct": 50, "dropped": []}
    summary = {"baseline": whole, "bsba": kept[-1] if kept else whole}
    first = [{"iteration": 1, "layer": layer} for layer in range(depth)]
    return FinishedRun(Path(name), {"task": task}, summary, steps, first)


def test_layers_that_both_drop_beside_chance(script):
    one = finished("one", [5, 2, 3, 0], [52, 50, 49, 40])
    other = finished("other", [2, 5, 6, 1], [51, 51, 50, 47])
    found = script.compared(one, other)
    assert (found["runs"], found["both"]) == (["one", "other"], [2, 5])
    assert found["by_chance"] == pytest.approx(2 * 3 / 7)
    assert found["p_value"] == pytest.approx(3 / 21)  # both of two among three of seven
    np.testing.assert_array_equal(script.ranks(one), [4, 5, 2, 3, 5, 1, 5])
    value, low, high = found["order"]
    assert -1 <= low <= value <= high <= 1
    assert [script.deepest(one, loss) for loss in (0.0, 0.01, 0.03, 0.1)] == [2, 3, 3, 4]
    assert script.compared(one, one)["order"][0] == pytest.approx(1)


def test_searches_that_cannot_be_compared(script):
    one = finished("one", [5, 2], [52, 50])
    for other in (finished("two", [5], [50], task="facts"), finished("two", [5], [50], depth=8)):
        with pytest.raises(InputError, match="other tasks or numbers of layers"):
            script.compared(one, other)
    halves = finished("halves", [5], [50])
    halves.candidates[3]["layer"] = "3.mlp"
    with pytest.raises(InputError, match="whole layers"):
        script.depth_of(halves)
    with pytest.raises(InputError, match="two runs"):
        script.main((Path("one"),)[:0])
