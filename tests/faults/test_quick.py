"""A quick selection of the faults; ``make faults`` tries all of them."""

import json
import shutil
import sys

import pytest
from faults.cases import bad_numbers
from faults.damage import BYTES, fields
from faults.world import PROGRAMS

from attention import choices
from attention.errors import InputError
from tale_jax.elimination import eliminate
from tale_jax.options import Options
from tale_jax.runs import Run, finish, load_run
from tale_jax.tasks import Answer

SETTINGS = {
    "model": "m", "task": "t", "protocol": "decode", "num_layers": 4, "epsilon": 0.08,
    "floor": "baseline", "examples": 20,
}  # fmt: skip
FILES = ("settings.json", "summary.json", "trajectory.jsonl", "candidates.csv")


def count(dropped):
    return {0: 15, 1: 16, 2: 14, 3: 3}[len(dropped)] - sum(dropped) % 3


def search(folder, resume=False):
    with Run(folder, "tale search", SETTINGS, resume=resume) as run:
        found = eliminate(
            lambda candidates: map(count, candidates), 4, 20, known=run.known,
            on_candidate=run.candidate, on_accepted=run.accepted,
        )  # fmt: skip
        for split in ("search", "test"):
            for pick in (found.baseline, found.best, found.bsba):
                right = [Answer("a", i < count(pick.dropped)) for i in range(20)]
                run.evaluate(split, pick.dropped, lambda right=right: right)
        return finish(run, found)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick") / "run"
    search(folder)
    return folder


def picks(run):
    return [run.summary[name] for name in ("baseline", "best", "bsba")]


@pytest.mark.parametrize("file", FILES)
def test_a_run_with_a_changed_field_is_refused_or_means_the_same(whole, tmp_path, file):
    shutil.copytree(whole, tmp_path / "run")
    right, expected = (whole / file).read_bytes(), picks(load_run(whole))
    refused = 0
    for name, damage in fields(whole / file):
        damage(tmp_path / "run" / file)
        try:
            assert picks(load_run(tmp_path / "run")) == expected, name
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        (tmp_path / "run" / file).write_bytes(right)
    assert refused > 20


@pytest.mark.nightly
@pytest.mark.parametrize("file", [*FILES, "journal.jsonl"])
def test_a_run_with_a_damaged_file(whole, tmp_path, file):
    """It is refused, or read as it was; and it goes on to the same, or is refused."""
    expected = picks(load_run(whole))
    for name, damage in BYTES.items():
        folder = tmp_path / name
        shutil.copytree(whole, folder)
        damage(folder / file)
        for work in (load_run, lambda folder: search(folder, resume=True) and load_run(folder)):
            try:
                assert picks(work(folder)) == expected, name
            except (InputError, OSError) as error:
                assert "\n" not in str(error), name


def test_bad_numbers_end_in_one_line(tmp_path, capsys):
    """What a command needs besides is not there, so that a number that is allowed ends too."""
    cases = [case for case in bad_numbers(tmp_path) if case.line.split()[:2] != ["attn", "bench"]]
    assert len(cases) > 500
    for case in cases[::11]:
        program, *words = case.line.replace("OUT", str(tmp_path / "out")).split()
        with pytest.raises(SystemExit) as end:
            PROGRAMS[program]([*words, *case.words])
        said = capsys.readouterr().err
        assert end.value.code == 2, (case, said)
        assert len(said.splitlines()) == 1, case
    assert not (tmp_path / "out").exists()


def test_a_run_of_others_imports_no_code(whole, tmp_path, monkeypatch, capsys):
    """Its files name ``module:function`` as the task; the command line must name it too."""
    run, lines = tmp_path / "run", ("lens", "--run", str(tmp_path / "run"))
    shutil.copytree(whole, run)
    for file in ("settings.json", "summary.json"):
        said = json.loads((run / file).read_text())
        options = {"options": Options().as_json()} if file == "summary.json" else {}
        (run / file).write_text(json.dumps({**said, **options, "task": "hostile:letters"}))
    (tmp_path / "hostile.py").write_text("print('it ran')\ndef letters(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(choices, "_trusted", set())
    refused = (
        "tale: the task 'hostile:letters' is code, which a file named and you did not: "
        f"{choices.VARIABLE}=hostile lets it run\n"
    )
    ran = "tale: hostile:letters returned a NoneType, not a Task\n"
    for words, variable, expected in (
        (lines, "", ("", refused)),
        ((*lines, "--task", "hostile:letters"), "", ("it ran\n", ran)),
        (lines, "hostile", ("it ran\n", ran)),
    ):
        monkeypatch.setattr(choices, "_trusted", set())
        monkeypatch.setenv(choices.VARIABLE, variable)
        sys.modules.pop("hostile", None)
        with pytest.raises(SystemExit) as end:
            PROGRAMS["tale"](list(words))
        assert end.value.code == 2 and tuple(capsys.readouterr()) == expected


def test_every_field_has_its_damage(whole):
    """The table of damage reaches each field of a summary."""
    names = [name for name, _ in fields(whole / "summary.json")]
    for field in json.loads((whole / "summary.json").read_text()):
        assert any(name.startswith(f"0:{field}") for name in names)
