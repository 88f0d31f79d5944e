"""lm-eval both ways: its tasks in our search, our models in its evaluation; all defined here."""

import json
import sys
from pathlib import Path

import pytest

from attention.errors import InputError
from tale_jax import evaluate
from tale_jax.tasks.loading import load_task

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.filterwarnings("default")  # lm-eval's own

CHOICE = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {folder}/choice.jsonl, train: {folder}/train.jsonl}}}}
training_split: train
validation_split: validation
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{options}}}}"
doc_to_target: gold
metric_list: [{{metric: acc}}]
"""
WRITTEN = """
task: tiny_written
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {folder}/written.jsonl, test: {folder}/asked.jsonl}}}}
validation_split: validation
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["e"], max_gen_toks: 5}}
filter_list:
  - name: letters
    filter: [{{function: regex, regex_pattern: "([a-m]+)"}}, {{function: take_first}}]
metric_list: [{{metric: exact_match}}]
"""
INPUTS = """
task: tiny_inputs
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {folder}/inputs.jsonl}}}}
validation_split: validation
output_type: multiple_choice
doc_to_text: gold
doc_to_choice: "{{{{options}}}}"
doc_to_target: ending
target_delimiter: " "
metric_list: [{{metric: acc}}]
"""
ROLLING = """
task: tiny_rolling
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {folder}/written.jsonl}}}}
validation_split: validation
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
"""


def lines(path: Path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def folder(write_model, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("lm_eval")
    write_model(root / "tiny")
    words = [f"{a}{b}{c}" for a in "abc" for b in "def" for c in "ghi"]
    options = ["ab", "cd", "e"]
    rows = [
        {"question": f"q {w}", "options": options, "gold": i % 3, "answer": w, "ending": f"x{w}"}
        for i, w in enumerate(words)
    ]
    lines(root / "choice.jsonl", rows[:23])
    lines(root / "train.jsonl", rows[23:])
    lines(root / "written.jsonl", rows[:11])
    lines(root / "asked.jsonl", rows[11:18])
    lines(root / "inputs.jsonl", rows[:17])
    for name, text in {
        "choice": CHOICE, "written": WRITTEN, "inputs": INPUTS, "rolling": ROLLING,
    }.items():  # fmt: skip
        (root / f"{name}.yaml").write_text(text.format(folder=root))
    return root


@pytest.fixture
def own_tasks(monkeypatch):
    """lm-eval reads no index of all its tasks: thousands of files."""
    from lm_eval.tasks import TaskManager

    original = TaskManager.__init__

    def init(self, *given, **options):
        original(self, *given, **{**options, "include_defaults": False})

    monkeypatch.setattr(TaskManager, "__init__", init)


def test_a_choice_is_asked_as_lm_eval_asks_it(folder):
    task = load_task("lm_eval:tiny_choice", data=folder)
    assert task.test is not None and task.halves
    assert len(task.search) + len(task.test) == 23
    example = min((*task.search, *task.test), key=lambda e: e.prompt)
    assert example.prompt == "q adg" and example.choices == (" ab", " cd", " e")
    assert any("divided" in note for note in task.notes)
    shown = load_task("lm_eval:tiny_choice", data=folder, shots=2, seed=3)
    blocks = shown.search[0].prompt.split("\n\n")
    assert len(blocks) == 3
    assert all(block.split()[-1] in ("ab", "cd", "e") for block in blocks[:2])
    assert shown == load_task("lm_eval:tiny_choice", data=folder, shots=2, seed=3)


def test_choices_within_the_prompt(folder):
    task = load_task("lm_eval:tiny_inputs", data=folder)
    for example in task.search:
        assert example.contexts == ("ab", "cd", "e")
        assert example.choices is not None and len(set(example.choices)) == 1
        assert example.choices[0].startswith(" x")


def test_written_answers_are_judged_by_its_filter_and_metric(folder):
    task = load_task("lm_eval:tiny_written", data=folder)
    assert (task.stop, task.new_tokens) == (("e",), 5) and task.judge is not None
    example = task.search[0]
    assert task.judge(f" 9 {example.answer}?", example) == (example.answer, True)
    assert task.judge(" 9 zz abc", example) == ("abc", example.answer == "abc")
    assert task.judge("987", example) == (None, False)


@pytest.mark.nightly  # the tests before it ask in each way
def test_both_ways_agree(folder):
    """Accuracy of our evaluation is that of lm-eval with our model, choices and written."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from tale_jax import harness

    model = harness.TaleModel(str(folder / "tiny"), drop="1")
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    names = ["tiny_choice", "tiny_inputs", "tiny_written", "tiny_rolling"]
    found = simple_evaluate(model, tasks=names, task_manager=manager, bootstrap_iters=0)
    assert found is not None
    for name in ("tiny_choice", "tiny_inputs"):
        ours = evaluate(str(folder / "tiny"), f"lm_eval:{name}", drop=[1], data=str(folder))
        assert ours["all"]["accuracy"] == pytest.approx(found["results"][name]["acc,none"])
    ours = evaluate(str(folder / "tiny"), "lm_eval:tiny_written", drop=[1], data=str(folder))
    theirs = found["results"]["tiny_written"]["exact_match,letters"]
    assert ours["test"]["accuracy"] == pytest.approx(theirs)
    assert found["results"]["tiny_rolling"]["word_perplexity,none"] > 1


@pytest.mark.nightly  # test_scorer.py has plain loops
def test_log_probabilities_and_texts_are_those_of_plain_loops(folder):
    import jax
    import jax.numpy as jnp
    import numpy as np
    from lm_eval.api.instance import Instance

    from attention.transformer import Transformer, load_pretrained
    from attention.transformer.generation import generate
    from tale_jax import harness

    model = harness.TaleModel(str(folder / "tiny"), batch_tokens=50)
    config, params = load_pretrained(folder / "tiny")

    @jax.jit
    def forward(tokens):
        logits: jax.Array = Transformer(config).apply({"params": params}, tokens)
        return jax.nn.log_softmax(logits[0])

    def log_probs(tokens):
        padded = [*tokens, *[0] * (61 - len(tokens))]  # one length: what follows is not seen
        return np.asarray(forward(jnp.array([padded])))[: len(tokens)]

    pairs = [("", "abc"), ("dog ", "bc"), ("k" * 40, "def"), ("a", "b" * 40)]
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
    for (before, after), (log_prob, greedy) in zip(
        pairs, model.loglikelihood(requests), strict=True
    ):
        tokens = model.tok_encode(before + after)
        count = len(tokens) - len(model.tok_encode(before.rstrip()))
        rows = log_probs(tokens)[-count - 1 : -1]
        assert log_prob == pytest.approx(
            sum(rows[np.arange(count), np.array(tokens[-count:])]), rel=1e-5
        )
        assert greedy == bool((rows.argmax(1) == tokens[-count:]).all())
    long = "abcdefghij" * 13  # more than twice the positions
    (rolling,) = model.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (long,), 0)])
    tokens = model.tok_encode(long, add_special_tokens=False)
    total, before = 0.0, [model.prefix_token_id]
    for token in tokens:  # each is predicted once, whole windows before the last one
        place = len(before) - 1
        start = min(place // 61 * 61, len(tokens) - 61)
        total += log_probs(before[start:])[-1, token]
        before.append(token)
    assert rolling == pytest.approx(total, rel=1e-5)
    settings = {"until": ["c"], "max_gen_toks": 7}
    asked = [
        Instance("generate_until", {}, (text, settings), 0) for text in ("ab", "dog", "k" * 99)
    ]
    for request, text in zip(asked, model.generate_until(asked), strict=True):
        prompt = model.tok_encode(request.args[0])[-54:]
        out = generate(config, params, jnp.array([prompt]), max_new_tokens=7, stop_tokens=[2])
        ids = np.asarray(out.tokens)[np.asarray(out.where)]
        whole = model.tokenizer.decode(ids, skip_special_tokens=True)
        assert text == whole.partition("c")[0]


@pytest.mark.usefixtures("own_tasks")
def test_the_command(folder, monkeypatch, capsys):
    from tale_jax import harness

    words = [
        "--model", "tale_jax", "--model_args", f"pretrained={folder / 'tiny'},drop=1:2",
        "--tasks", "tiny_choice", "--include_path", str(folder),
        "--output_path", str(folder / "out"),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["tale_jax.harness", *words])
    harness.main()
    assert "tiny_choice" in capsys.readouterr().out


@pytest.mark.nightly  # reads the index of all tasks of lm-eval
def test_the_index_of_all_tasks_is_read_where_a_folder_lacks_one(folder):
    with pytest.raises(InputError, match="is no task of lm-eval"):
        load_task("lm_eval:nothing_of_the_kind", data=folder)
    assert load_task("lm_eval:tiny_choice", data=folder)


@pytest.mark.usefixtures("own_tasks")
def test_errors_are_one_line(folder):
    from tale_jax import harness

    for name, why in [
        ("lm_eval:nothing_of_the_kind", "is no task of lm-eval"),
        ("lm_eval:tiny_rolling", "loglikelihood_rolling"),
    ]:
        with pytest.raises(InputError, match=why) as error:
            load_task(name, data=folder)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="split that is asked"):
        load_task("lm_eval:tiny_written", data=folder, shots=1)
    (folder / "broken.yaml").write_text(
        "task: tiny_broken\ndataset_path: json\n"
        "dataset_kwargs: {data_files: {validation: nowhere.jsonl}}\n"
        "validation_split: validation\noutput_type: multiple_choice\n"
    )
    with pytest.raises(InputError, match="cannot load the task"):
        load_task("lm_eval:tiny_broken", data=folder)
    with pytest.raises(InputError, match="no argument colour"):
        harness.TaleModel(str(folder / "tiny"), colour="red")
    with pytest.raises(InputError, match="writes greedily"):
        harness._settings({"do_sample": True})
