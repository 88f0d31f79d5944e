"""What tests of searches share: a task of letters; that a race finds what counting finds."""

import json

import numpy as np
import pytest

from tale_jax.elimination import SearchOptions, eliminate


@pytest.fixture(scope="session")
def write_letters():
    """Writes a task: whether a text of eleven letters has more than one ``a``."""

    def write(file, count, seed):
        number = np.random.default_rng(seed)
        lines = []
        for _ in range(count):
            prompt = "".join(number.choice(list("abcdefgh"), 11))
            answer = int(prompt.count("a") > 1)
            line = {"prompt": prompt, "choices": ["x", "y"], "answer": answer}
            lines.append(json.dumps(line) + "\n")
        file.write_text("".join(lines))
        return str(file)

    return write


@pytest.fixture(scope="session")
def check_race():
    """Checks that early rejection chooses what counting chooses, compiles no more, and rejects."""

    def check(scorer, num_layers, total, granularity="layer"):
        options = SearchOptions(epsilon=1, granularity=granularity)
        whole = eliminate(scorer.count, num_layers, total, options)
        quick = eliminate(scorer.count, num_layers, total, options, race=scorer.race)
        assert scorer.compilations <= scorer.most_compilations
        for name in ("baseline", "steps", "best", "bsba", "stop_reason"):
            assert getattr(whole, name) == getattr(quick, name)
        for exact, found in zip(whole.candidates, quick.candidates, strict=True):
            assert found.correct >= exact.correct if found.bound else found == exact
        assert any(found.bound for found in quick.candidates)

    return check
