"""What tests of searches share: a task of letters; that a race finds what counting finds."""

import json

import numpy as np

from tale_jax.elimination.greedy import eliminate


def write_task(file, count, seed):
    """Whether a text of eleven letters has more than one ``a``; returns the file's name."""
    number = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        prompt = "".join(number.choice(list("abcdefgh"), 11))
        answer = int(prompt.count("a") > 1)
        lines.append(json.dumps({"prompt": prompt, "choices": ["x", "y"], "answer": answer}) + "\n")
    file.write_text("".join(lines))
    return str(file)


def check_race(scorer, units, total):
    """Exact rejection chooses what counting every answer chooses, compiles no more, and rejects."""
    whole = eliminate(scorer.count, units, total, epsilon=1)
    quick = eliminate(scorer.count, units, total, epsilon=1, race=scorer.race)
    assert scorer.compilations <= scorer.most_compilations
    for name in ("baseline", "steps", "best", "bsba", "stop_reason"):
        assert getattr(whole, name) == getattr(quick, name)
    for exact, found in zip(whole.candidates, quick.candidates, strict=True):
        assert found.correct >= exact.correct if found.bound else found == exact
    assert any(found.bound for found in quick.candidates)
