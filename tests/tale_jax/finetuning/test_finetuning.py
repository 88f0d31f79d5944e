"""Training on answers alone, resuming, and the six arms."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.errors import InputError
from attention.transformer import Transformer, load_pretrained
from tale_jax import evaluate
from tale_jax.cli import main
from tale_jax.commands.arms import ARMS, Arm, arms
from tale_jax.commands.finetune import finetune
from tale_jax.finetuning.batches import Batches, answer_loss, training_rows
from tale_jax.models import load_model
from tale_jax.opening import read_task, render_task
from tale_jax.options import Options, TrainingOptions
from tale_jax.tasks.loading import load_task

QUICK = TrainingOptions(lora_rank=3, learning_rate=1e-2, batch_size=7, steps=6, save_every=2)


@pytest.fixture(scope="module")
def root(write_model, tmp_path_factory):
    root = tmp_path_factory.mktemp("finetuning")
    write_model(root / "tiny")
    number = np.random.default_rng(0)
    for name, count in (("task", 23), ("test", 19), ("train", 29)):
        lines = []
        for _ in range(count):
            prompt = "".join(number.choice(list("abcdef"), 9))
            answer = int(prompt[-1] in "abc")
            lines.append({"prompt": prompt, "choices": ["x", "yz"], "answer": answer})
        (root / f"{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return root


def splits(root):
    return {name: str(root / f"{name}.jsonl") for name in ("test", "train")}


def test_the_loss_is_that_of_the_answers_alone(root):
    model = load_model(str(root / "tiny"))
    task = load_task(str(root / "task.jsonl"), split="train", **splits(root))
    rows = training_rows(model, task)
    batch = Batches(rows, 5, 0)(3)
    total, count = jax.jit(answer_loss, static_argnums=0)(model.config, model.params, batch)
    forward = jax.jit(Transformer(model.config).apply)
    expected = 0.0
    for place in range(15, 20):
        example = task.search[np.random.default_rng((0, 0)).permutation(29)[place]]
        whole = model.tokenizer(example.prompt + example.choices[example.answer])["input_ids"]
        logits = forward({"params": model.params}, jnp.array([whole]))
        scores = jax.nn.log_softmax(logits[0])
        start = len(example.prompt) + 1
        expected -= sum(float(scores[t - 1, whole[t]]) for t in range(start, len(whole)))
    assert float(total) == pytest.approx(expected, rel=1e-4)
    assert float(count) == sum(len(rows[i].targets) for i in
                               np.random.default_rng((0, 0)).permutation(29)[15:20])  # fmt: skip


@pytest.mark.parametrize("form", ["letters", "text", "written"])
def test_what_is_trained_on_is_what_is_asked(root, tmp_path, form):
    """The same rows, as the train split of one folder and the search split of another."""
    name, choices = ("gsm8k", None) if form == "written" else ("arc_easy", form)
    searched = "test" if form == "written" else "validation"
    for folder, own in (("asked", searched), ("taught", "train")):
        for split in ("train", "validation", "test"):
            word = "same" if split == own else f"{folder} {split}"
            rows = [
                {
                    "id": str(i), "question": f"which is {word} {i}", "answerKey": "AB"[i % 2],
                    "answer": f"it is so\n#### {i}",
                    "choices": {"text": [f"it {i}", f"no {i}"], "label": ["A", "B"]},
                }
                for i in range(7)
            ]  # fmt: skip
            file = tmp_path / folder / name / f"{split}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = load_model(str(root / "tiny"))
    model.tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }} .{% endfor %}assistant:"
    )
    config = dataclasses.replace(model.config, max_position_embeddings=997)
    model, found = dataclasses.replace(model, config=config), {}
    for folder, split in (("asked", "search"), ("taught", "train")):
        options = Options(data=tmp_path / folder, choices=choices)
        found[folder] = render_task(model, read_task(name, options, split), options)
    taught = {e.prompt: e for e in found["taught"].search}
    rows = dict(zip(taught, training_rows(model, found["taught"]), strict=True))
    assert found["asked"].search
    for example in found["asked"].search:
        assert taught[example.prompt].answer == example.answer
        assert ("user: " in example.prompt) == (form != "text")
        answer = example.choices[example.answer] if example.choices else example.solution.strip()
        whole = model.tokenizer(example.prompt + answer, add_special_tokens=form == "text")
        end = [model.tokenizer.eos_token_id] if form == "written" else []
        row = rows[example.prompt]
        assert [*row.tokens, row.targets[-1]] == whole["input_ids"] + end
        assert len(row.targets) == len(answer) + len(end)


@pytest.mark.nightly  # test_resuming.py goes on to the bit
def test_training_on_a_shorter_model_resumes_to_the_same(root, monkeypatch):
    given = {"model": root / "tiny", "task": root / "task.jsonl", **splits(root)}
    given |= {"training": QUICK, "drop": [1, 3]}
    whole = finetune(out=root / "whole", **given)
    config, params = load_pretrained(root / "whole" / "model")
    assert config.num_hidden_layers == 3
    losses = [json.loads(x)["loss"] for x in
              (root / "whole/training/metrics.jsonl").read_text().splitlines()]  # fmt: skip
    assert whole["loss"] == losses[-1] < losses[0]

    # stopped after the second checkpoint
    draw = Batches.__call__

    def stopping(self, step):
        if step == 4:
            raise KeyboardInterrupt
        return draw(self, step)

    monkeypatch.setattr(Batches, "__call__", stopping)
    with pytest.raises(KeyboardInterrupt):
        finetune(out=root / "cut", **given)
    monkeypatch.undo()
    with pytest.raises(InputError, match="go on with --resume"):
        finetune(out=root / "cut", **given)
    with pytest.raises(InputError, match="other settings"):
        finetune(out=root / "cut", resume=True, **{**given, "drop": []})
    finetune(out=root / "cut", resume=True, **given)
    _, again = load_pretrained(root / "cut" / "model")
    jax.tree.map(np.testing.assert_array_equal, params, again)


def test_full_training_changes_what_lora_leaves(root):
    how = {"full": True, "batch_size": 7, "steps": 1, "learning_rate": 1e-2}
    training = TrainingOptions(**how, remat="dots")
    model, task = str(root / "tiny"), str(root / "task.jsonl")
    finetune(model=model, task=task, out=root / "full", training=training, **splits(root))
    _, params = load_pretrained(root / "full" / "model")
    _, before = load_pretrained(root / "tiny")
    assert not np.array_equal(params["embed"]["embedding"], before["embed"]["embedding"])
    with pytest.raises(InputError, match="no train split"):
        finetune(model=model, task=task, out=root / "none", training=training)
    assert not (root / "none").exists()


@pytest.mark.nightly
def test_six_arms_and_their_table(root):
    model, task = str(root / "tiny"), str(root / "task.jsonl")
    given = {"training": QUICK, "epsilon": 0.4, "max_drops": 2, **splits(root)}
    found = arms(model, task, root / "arms", **given)["rows"]
    rows = {row["arm"]: row for row in found}
    assert list(rows) == list(ARMS)
    assert rows["base"]["dropped"] == rows["FT"]["dropped"] == []
    assert rows["TALE→FT"]["dropped"] == rows["TALE"]["dropped"]
    assert set(rows["TALE"]["dropped"]) <= set(rows["(TALE→FT)→TALE"]["dropped"])
    assert all(row["layers"] == 5 - len(row["dropped"]) and row["whole_time"] for row in found)
    chain = ("TALE", "TALE→FT", "(TALE→FT)→TALE")
    assert rows[chain[-1]]["total_seconds"] == pytest.approx(
        sum(rows[name]["seconds"] for name in chain), abs=0.11
    )
    before = (root / "arms" / "arms.csv").read_bytes()
    arms(model, task, root / "arms", resume=True, **given)
    assert (root / "arms" / "arms.csv").read_bytes() == before


@pytest.mark.nightly
def test_eight_devices_train_as_one_does(root, tmp_path):
    """Half a layer is dropped too: a scan with branches, shared by devices."""
    words = [
        "finetune", "--model", root / "tiny", "--task", root / "task.jsonl", "--train",
        root / "train.jsonl", "--drop", "1.attention", "--lora-rank", "3", "--batch-size", "8",
        "--learning-rate", "1e-2", "--steps", "4", "--no-compilation-cache", "--out",
    ]  # fmt: skip
    words = list(map(str, words))
    main([*words, str(tmp_path / "1")])
    code = "import jax, sys; assert jax.device_count() == 8; from tale_jax.cli import main; main()"
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    subprocess.run(
        [sys.executable, "-c", code, *words, str(tmp_path / "8"), "--mesh", "data=-1,model=2"],
        env={**os.environ, "XLA_FLAGS": flags},
        check=True,
    )
    files = [tmp_path / devices / "training" / "metrics.jsonl" for devices in ("1", "8")]
    losses = [[json.loads(x)["loss"] for x in f.read_text().splitlines()] for f in files]
    assert len(losses[0]) == len(losses[1]) > 0
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    found = [load_pretrained(tmp_path / devices / "model") for devices in ("1", "8")]
    assert found[0][0] == found[1][0]
    for one, eight in zip(*(jax.tree.leaves(params) for _, params in found), strict=True):
        np.testing.assert_allclose(eight, one, rtol=0, atol=1e-4)


def test_an_arm_of_your_own_is_one_row(root, tmp_path, monkeypatch):
    """Here one that drops the last layer of the base."""

    def shorten(work, folder, before):
        (work.out / folder).mkdir()
        after = before._replace(pending=[before.kept[-1]])
        return after, evaluate(work.model, work.task, drop=after.pending, options=work.options)

    few = {"base": ARMS["base"], "short": Arm("base", shorten, "short")}
    monkeypatch.setattr("tale_jax.commands.arms.ARMS", few)
    found = arms(root / "tiny", root / "task.jsonl", tmp_path / "arms", **splits(root))["rows"]
    assert [row["dropped"] for row in found] == [[], [4]]
    again = evaluate(root / "tiny", root / "task.jsonl", drop=[4], **splits(root))
    assert found[1]["correct"] == again["test"]["correct"]
    assert found[1]["layers"] == 4
