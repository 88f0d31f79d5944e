"""What tests of tale share: tasks of letters, and searches of a tiny random model."""

import functools
import json

import numpy as np
import pytest

from tale_jax import search
from tale_jax.cli import main
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.runs.verdicts import changes, summarise
from tale_jax.scoring import programs
from tale_jax.tasks import Answer


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


@pytest.fixture(scope="session")
def run_data():
    """Makes the data of a report of a made-up search."""
    return made_up_run


@pytest.fixture(scope="session")
def whole_run():
    """Makes the data of a report that has all parts."""
    return made_up_report


def made_up_run(
    layers=6, total=50, test=True, count=None, name="model", floor="baseline", **options
):
    """Data of a report of a made-up search."""
    count = count or (lambda dropped: total - 10 + len(dropped) % 3 - 9 * (0 in dropped))
    settings = {
        "model": name,
        "task": name,
        "protocol": name,
        "num_layers": layers,
        "epsilon": 0.08,
        "floor": floor,
    }
    result = eliminate(
        lambda candidates: (count(dropped) for dropped in candidates),
        layers,
        total,
        SearchOptions(floor=floor, **options),
    )
    picks = (result.baseline, result.best, result.bsba)
    answers = {p.dropped: [i < 20 + len(p.dropped) for i in range(31)] for p in picks}
    rows = ("iteration", "layer", "correct")
    return {
        "summary": summarise(
            settings,
            result,
            answers if test else None,
            seconds=98765.4,
            compilations=54321,
            commands=[f"tale search --task {name}"],
        ),
        "trajectory": [
            {n: getattr(s, n) for n in (*rows, "dropped")} | {"total": total} for s in result.steps
        ],
        "candidates": [
            {n: getattr(c, n) for n in rows} | {"total": total} for c in result.candidates
        ],
    }


def made_up_report(name="arc_easy", **options):
    """A report with all its parts: a null control, information, bounds, and changed questions."""
    data = made_up_run(name=name, **options)
    for candidate in data["candidates"]:
        candidate["bound"] = candidate["layer"] % 3 != candidate["iteration"] % 3
    said = {"baseline": "abcd" * 8, "best": "abdd" * 8, "bsba": "abda" * 8}
    answers = {
        ("test", pick): [Answer(letter, letter == "abcd"[i % 4]) for i, letter in enumerate(text)]
        for pick, text in said.items()
    }
    questions = {"test": [f"Which letter is number {i}? Answer:" for i in range(32)]}
    data["summary"]["changed"] = changes(answers, questions)
    data["summary"]["null_control"] = {
        "shuffles": 3, "gain": 0.04, "gains": [0.0, 0.02, 0.02], "mean_gain": 0.0133,
        "p_value": 0.25,
    }  # fmt: skip
    data["information"] = [
        {"model": model, "layer": layer, "entropy": 2.0, "same_states": 1.5, "examples": 100,
         "cross_validated": 0.2 * layer, "low": 0.1 * layer, "high": 0.3 * layer}
        for model in ("full", "without 3") for layer in range(-1, 6)
    ]  # fmt: skip
    return data
