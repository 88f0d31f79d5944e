"""What tests of tale share: tasks of letters, and searches of a tiny random model."""

import functools
import json

import numpy as np
import pytest

from tale_jax import search
from tale_jax.cli import main
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.scoring import programs


@pytest.fixture(scope="session", autouse=True)
def quick_compilation():
    """Searches compile with the flags of all tests, not with those that make a long search fast."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CPU_OPTIONS", "SMALL_OPTIONS"):
            patch.setattr(programs, name, {})
        yield


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


@pytest.fixture(scope="session")
def searched(write_model, tmp_path_factory, write_letters):
    """A folder with the model ``tiny``, tasks of letters, and three finished searches.

    ``a`` and ``b`` dropped layers for the tasks of the same names, ``halves`` half-layers for
    ``a``. Each search has a test split, ``a-test`` or ``b-test``, and a null control.
    """
    root = tmp_path_factory.mktemp("searched")
    write_model(root / "tiny")
    sizes = {"a": (47, 1), "a-test": (31, 2), "b": (47, 5), "b-test": (31, 6), "train": (47, 9)}
    for name, (count, seed) in sizes.items():
        write_letters(root / f"{name}.jsonl", count, seed)
    given = {"epsilon": 0.3, "quiet": True}
    for name in "ab":
        test = str(root / f"{name}-test.jsonl")
        task = str(root / f"{name}.jsonl")
        search(str(root / "tiny"), task, root / name, test=test, null_control=2, **given)
    search_halves(root, root / "halves")
    return root


def search_halves(root, out, **changes):
    """The search of ``searched / "halves"``, perhaps with other options, in another directory."""
    usual = {
        "epsilon": 0.3, "max_drops": 3, "granularity": "sublayer", "null_control": 1,
        "batch_tokens": 128, "test": str(root / "a-test.jsonl"), "quiet": True,
    }  # fmt: skip
    return search(str(root / "tiny"), str(root / "a.jsonl"), out, **{**usual, **changes})


@pytest.fixture(scope="session")
def search_again(searched):
    """Repeats the search of half-layers, perhaps with other options, in another directory."""
    return functools.partial(search_halves, searched)


@pytest.fixture
def failing(capsys):
    """Runs ``tale`` with bad words, and returns the one line that it ends in."""

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        return error

    return run
