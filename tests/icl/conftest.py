"""One tiny run, trained once."""

import pytest
from icl_runs import STEPS, TINY

from icl.training.fitting import load, train


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Directory of a run of 12 steps."""
    directory = tmp_path_factory.mktemp("icl") / "run"
    train(TINY, directory, steps=12, **STEPS)
    return directory


@pytest.fixture(scope="session")
def trained(run):
    return load(run)
