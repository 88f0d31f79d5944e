"""Where written answers end: at every end token, at stop strings, or cut off."""

import dataclasses
import functools
import json
import runpy
import shutil
import sys

import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.files import end_tokens, load_tokenizer
from attention.likelihood import choose_shapes, load_batches
from attention.terminal import Terminal
from attention.transformer import Transformer, init_cache, last_places
from tale_jax import evaluate
from tale_jax.models import load_model
from tale_jax.opening import open_scorer
from tale_jax.options import Options
from tale_jax.scoring.protocols import make_asker
from tale_jax.scoring.writing import stop_states
from tale_jax.tasks import Example, Task, load_task
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


def test_stop_strings_over_several_tokens():
    """The automaton against a search in the text that has been written."""
    texts = ["a", "b", "ab", "ba", "", "\n", "\nQ", "Q:", ":", "Q", "a\nQ:b", "abab", "c", "\n\n"]
    stops, number = ("\nQ:", "abac", "aa"), np.random.default_rng(3)
    stop_SV, ended = stop_states(texts, stops), {"before": 0, "behind": 0}
    assert stop_SV.shape[1] == len(texts)
    for _ in range(1500):
        state, written = 0, ""
        for v in number.integers(0, len(texts), 9):
            state = stop_SV[state, v]
            whole = any(stop in written + texts[v] for stop in stops)
            assert (state >= len(stop_SV)) == whole
            if whole:
                begins = state == len(stop_SV)
                assert begins == texts[v].startswith(stops)
                ended["before" if begins else "behind"] += 1
                break
            written += texts[v]
    assert ended["behind"] > 300


def test_writing_ends_when_every_row_has_its_stop_string(write_model, tmp_path):
    """A stop string of three tokens ends the rows behind it, and nothing more is written."""
    model = load_model(str(write_model(tmp_path / "tiny")))
    task = Task("t", (Example("abc", None, "x"), Example("ba", None, "x")), stop=None)
    plain = make_asker("decode", model.config, model.tokenizer, task, 13)
    plain._stop_SV = np.zeros_like(plain._stop_SV)
    arrays = load_batches(rows := plain.rows(task.search), choose_shapes([rows], 4096))[0].arrays
    keep = np.ones((5, 2), bool)

    def write(asker):
        config, transformer = model.config, Transformer(model.config)
        cache = init_cache(config, 2, arrays.tokens.shape[1] + 13, stacked=True)
        how = {"where": arrays.where, "read_at": last_places(arrays.where), "method": "decode"}
        decode = jax.jit(functools.partial(transformer.apply, **how))
        read = decode({"params": model.params}, arrays.tokens, cache)
        return np.asarray(asker.write(model.params, keep, *read)[0])

    written = write(plain)
    decode = model.tokenizer.decode
    stops = tuple(dict.fromkeys(decode(line[4:7]) for line in written))
    ends = [
        next(n for n in range(1, 14) if any(stop in decode(line[:n]) for stop in stops))
        for line in written
    ]
    assert max(ends) < 13
    asker = make_asker(
        "decode", model.config, model.tokenizer, dataclasses.replace(task, stop=stops), 13
    )
    found = write(asker)
    for line, whole, end in zip(found, written, ends, strict=True):
        assert line[:end].tolist() == whole[:end].tolist() and (line[end:] == -1).all()


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
