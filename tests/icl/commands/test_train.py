"""``icl train``."""

import functools

import jax

import icl
from icl.cli import main


def test_a_command_is_the_same_run(run, tiny, tmp_path):
    words = ["train", "--preset", tiny.preset, "--points", "5", "--batch", "7", "--hidden-size"]
    words += ["6", "--learning-rate", "1e-3", "--seed", "11", "--dispatch", "3", "--save-every"]
    words += ["6", "--log-every", "3", "--quiet", "--out", str(tmp_path / "run"), "--steps", "12"]
    main(words)
    ours, theirs = (
        [
            line.partition('"steps_per_s"')[0]
            for line in (d / "metrics.jsonl").read_text().splitlines()
        ]
        for d in (tmp_path / "run", run)
    )
    assert ours == theirs and len(ours) == 5
    settings = [(d / "settings.json").read_text() for d in (tmp_path / "run", run)]
    assert settings[0] == settings[1]
    again = icl.train(experiment=tiny, out=tmp_path / "run", steps=12, quiet=True)
    assert again["steps"] == 12 and again["preset"] == tiny.preset


def test_steps_are_traced(tmp_path, monkeypatch):
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # each call of Python makes a trace long
    start = functools.partial(jax.profiler.start_trace, profiler_options=options)
    monkeypatch.setattr(jax.profiler, "start_trace", start)
    out = tmp_path / "run"
    main(
        ["train", "--preset", "linear-1l1ah", "--hidden-size", "6", "--points", "3", "--batch", "2",
         "--steps", "5", "--profile", "3:1", "--out", str(out), "--quiet"]
    )  # fmt: skip
    assert list(out.glob("profile/**/*.xplane.pb"))  # though one program has all five steps
