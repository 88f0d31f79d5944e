"""Where written answers end: at every end token, at stop strings, or cut off."""

import json
import runpy
import shutil
import sys

import pytest

from attention.errors import InputError
from attention.files import end_tokens, load_tokenizer
from attention.terminal import Terminal
from tale_jax import evaluate
from tale_jax.models import load_model
from tale_jax.opening import open_scorer
from tale_jax.options import Options
from tale_jax.tasks import load_task
from tale_jax.tasks.examples import read_examples


@pytest.fixture
def made(shared, tmp_path, monkeypatch):
    """The folder of the case ``eos-list``, with the model that it makes."""
    pytest.importorskip("torch")
    root = tmp_path / "cases"
    folder = root / "eos-list"
    shutil.copytree(shared.parent / "cases" / "eos-list", folder)
    (root / "data").symlink_to(shared)
    folder.chmod(0o755)
    (folder / "task.jsonl").chmod(0o644)
    script = (folder / "make.py").read_text().replace("../../data", "../data")
    (folder / "own.py").write_text(script)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["own.py"])
    runpy.run_path("own.py")
    return folder


def test_every_end_token_ends_an_answer(made):
    task = str(made / "task.jsonl")
    found = evaluate(str(made / "model"), task, quiet=True)
    assert (found["search"]["correct"], found["search"]["cut"]) == (4, 0)
    tokenizer = load_tokenizer(made / "model")
    both = end_tokens(made / "model", tokenizer)
    assert len(both) == 2
    for changed, right in (("config.json", both), ("generation_config.json", (2,))):
        file = made / "model" / changed
        file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": 2}))
        assert end_tokens(made / "model", tokenizer) == right  # either file says it
    found = evaluate(str(made / "model"), task, quiet=True)
    assert (found["search"]["correct"], found["search"]["cut"]) == (0, 4)


def test_a_row_names_its_stop_strings(write_model, tmp_path):
    """Answers of a random model, cut where the rows say; none is cut off that has ended."""
    model, task = str(write_model(tmp_path / "tiny", 3)), tmp_path / "task.jsonl"
    prompts = ["abc", "hello", "dd", "a 1", "x?"]

    def answers(*stops):
        lines = [{"prompt": prompt, "answer": "x", "stop": list(stops)} for prompt in prompts]
        task.write_text("".join(json.dumps(line) + "\n" for line in lines))
        opened, asked = load_model(model), load_task(str(task))
        options = Options(max_new_tokens=7)
        scorer = open_scorer(opened, asked, options, Terminal(quiet=True))
        return scorer.answers("search", ())

    whole = answers()
    assert any(answer.cut for answer in whole)
    stop = next(a.prediction for a in whole if a.cut)[1:3]
    short = answers(stop, "nowhere")
    for before, after in zip(whole, short, strict=True):
        if stop in before.prediction:
            right = before.prediction.partition(stop)[0].strip() or None
            assert (after.prediction, after.cut) == (right, False)
        else:
            assert after == before


@pytest.mark.parametrize("stop", ["", [""], [3], {"a": 1}])
def test_stop_strings_that_are_none(tmp_path, stop):
    file = tmp_path / "task.jsonl"
    file.write_text(json.dumps({"prompt": "a", "answer": "b", "stop": stop}) + "\n")
    with pytest.raises(InputError, match="stop"):
        read_examples(file)
