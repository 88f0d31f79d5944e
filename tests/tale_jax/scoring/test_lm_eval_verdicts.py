"""Every verdict on a benchmark is lm-eval's own, with its own tasks, torch and float32.

lm-eval's task files are pointed at local rows: official ones where there are some, or made-up ones
in the same fields.  Its model is the torch one of transformers, so that nothing of ours is in it.
Two kinds of examples are counted apart.  Where two choices tie exactly, lm-eval takes the first and
we take none.  Where a choice merges with the end of its prompt, lm-eval scores no token of it, as
if its log-probability were 0; we score its own tokens.
"""

import contextlib
import gzip
import io
import itertools
import json
from pathlib import Path
from typing import NamedTuple

import pytest

from tale_jax.models import load_model
from tale_jax.scoring import Scorer
from tale_jax.tasks import Task, encode_choices, load_task

lm_eval = pytest.importorskip("lm_eval")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of lm-eval and of what it imports
    pytest.mark.nightly,  # test_lm_eval.py compares what is asked
]

ROWS, LONGEST, SHOTS = 17, 300, 2
METRICS = {
    "loglikelihood": "acc",
    "loglikelihood-norm": "acc_norm",
    "loglikelihood-bytes": "acc_bytes",
    "loglikelihood-unconditional": "acc_mutual_info",
}
YAML = """
include: {own}
task: local_{key}
dataset_path: json
dataset_name: null
dataset_kwargs:
  data_files: {{validation: {folder}/validation.jsonl, train: {folder}/train.jsonl}}
training_split: train
validation_split: validation
test_split: null
fewshot_split: train
fewshot_config: {{sampler: first_n}}
metric_list: [{metrics}]
"""


class Asked(NamedTuple):
    """A benchmark in one of its forms, and the file of lm-eval's task."""

    name: str
    choices: str
    own: str

    @property
    def key(self):
        return f"{self.name}_{self.choices}"


EVERY = [
    Asked("arc_easy", "text", "arc/arc_easy.yaml"),
    Asked("arc_challenge", "text", "arc/arc_challenge.yaml"),
    Asked("boolq", "text", "super_glue/boolq/default.yaml"),
    Asked("winogrande", "text", "winogrande/default.yaml"),
    Asked("commonsense_qa", "letters", "commonsense_qa/default.yaml"),
    Asked("openbookqa", "text", "openbookqa/openbookqa.yaml"),
    Asked("piqa", "text", "piqa/piqa.yaml"),
    Asked("hellaswag", "text", "hellaswag/hellaswag.yaml"),
    Asked("mmlu", "letters", "mmlu/default/mmlu_astronomy.yaml"),
    Asked("mmlu", "text", "mmlu/continuation/mmlu_astronomy.yaml"),
]
WORDS = ("the small dog", "a  red   box", "some water ", "my naïve 😀 friend", "two cold stones")


def made_up(name, count):
    """Rows in the fields of benchmarks that are not at hand."""
    rows = []
    pairs = itertools.islice(itertools.cycle(itertools.permutations(WORDS, 3)), count)
    for i, (a, b, c) in enumerate(pairs):
        if name == "piqa":
            solutions = {"sol1": f"Put {a} on {b}.", "sol2": f"Hold {b} and then turn to {c} {i}."}
            rows.append({"goal": f"To move {a}{i}", **solutions, "label": i % 2})
        else:
            endings = [f"[step] takes {b}", f"sees {c} {i}.", f"[title] Go to {a}", "stops"]
            texts = {"ctx_a": f"She has {a} {i}.", "ctx_b": "then the girl" if i % 3 else ""}
            texts["activity_label"] = "Playing [header] games"
            rows.append({**texts, "endings": endings, "label": str(i % 4)})
    return rows


def official(shared, name):
    """Short official rows of a benchmark, or made-up ones."""
    folder = shared / "tasks" / name
    files = [folder / f"{split}.jsonl.gz" for split in ("validation", "test")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return made_up(name, ROWS + SHOTS)
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    if name == "mmlu":
        rows = [row for row in rows if row["subject"] == "astronomy"]
    if name == "boolq":
        rows = [row | {"label": int(row["answer"])} for row in rows]
    short = [row for row in rows if len(json.dumps(row)) < LONGEST + 100 * (name == "boolq")]
    assert len(short) > ROWS + SHOTS
    return short[:: max(1, len(short) // (ROWS + SHOTS))][: ROWS + SHOTS]


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def asked(shared, tmp_path_factory):
    """The tasks as we load them, by their key and number of shots; lm-eval gets the same rows."""
    root, own = tmp_path_factory.mktemp("verdicts"), Path(lm_eval.__file__).parent / "tasks"
    tasks = {}
    for each in EVERY:
        rows, folder = official(shared, each.name), root / each.key
        validation, train = rows[:ROWS], rows[ROWS:]
        shown = "dev" if each.name == "mmlu" else "train"
        write(folder / each.name / "validation.jsonl", validation)
        write(folder / each.name / f"{shown}.jsonl", train)
        given = {"data": folder, "split": "validation", "choices": each.choices}
        for shots in (0, SHOTS):
            tasks[each.key, shots] = load_task(each.name, shots=shots, **given)
        # lm-eval shows the train rows in their order: let it be the one that we have drawn
        prompt = tasks[each.key, SHOTS].search[0].prompt
        first = load_task(each.name, shots=1, **given).search[0].prompt
        ours = [row for row in train if shows(first, row)]
        assert len(ours) == 1 and all(shows(prompt, row) for row in train)
        train = [*ours, *(row for row in train if row is not ours[0])]
        write(folder / "validation.jsonl", validation)
        write(folder / "train.jsonl", train)
        metrics = [m for m in METRICS.values() if each.name != "winogrande" or m == "acc"]
        text = YAML.format(
            own=own / each.own, key=each.key, folder=folder,
            metrics=", ".join(f"{{metric: {metric}}}" for metric in metrics),
        )  # fmt: skip
        (root / f"{each.key}.yaml").write_text(text)
    return root, tasks


def shows(prompt, row):
    """Whether a row stands in a prompt."""
    texts = [row.get(field) for field in ("question", "question_stem", "goal", "ctx_a")]
    text = next((text for text in texts if text), None)
    text = text or row["sentence"].partition("_")[0]
    return " ".join(text.split()) in " ".join(prompt.split())


@pytest.fixture(scope="module")
def theirs(shared, asked):
    """lm-eval's samples, by key and number of shots."""
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model = HFLM(
            str(shared / "models" / "TinyStories-656K"), device="cpu", dtype="float32", batch_size=8
        )
        manager = TaskManager(include_path=str(asked[0]), include_defaults=False)
        found = {}
        for shots in (0, SHOTS):
            names = [f"local_{each.key}" for each in EVERY]
            result = lm_eval.simple_evaluate(
                model, tasks=names, num_fewshot=shots, task_manager=manager, bootstrap_iters=0
            )
            assert result is not None
            for name, samples in result["samples"].items():
                samples = sorted(samples, key=lambda sample: sample["doc_id"])
                found[name.removeprefix("local_"), shots] = samples
    return found


@pytest.fixture(scope="module")
def ours(shared, asked):
    """Our answers by each protocol, by key and number of shots; one scorer reads them all."""
    _, tasks = asked
    every = [example for task in tasks.values() for example in task.search]
    model = load_model(str(shared / "models" / "TinyStories-656K"))
    scorer = Scorer(
        model.config, model.params, model.tokenizer, Task("every", tuple(every)),
        protocol="loglikelihood-unconditional",
    )  # fmt: skip
    assert scorer.too_long == 0
    read = scorer.readings("search", ())
    ends = itertools.accumulate((len(task.search) for task in tasks.values()), initial=0)
    return model.tokenizer, {
        key: {name: answers[start:end] for name, answers in read.items()}
        for key, (start, end) in zip(tasks, itertools.pairwise(ends), strict=True)
    }


@pytest.mark.parametrize("shots", [0, SHOTS])
@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.key)
def test_every_verdict_is_that_of_lm_eval(asked, theirs, ours, each, shots):
    tokenizer, answers = ours
    examples, samples = asked[1][each.key, shots].search, theirs[each.key, shots]
    assert len(examples) == len(samples) == ROWS
    ties, merged = 0, []
    for i, (example, sample) in enumerate(zip(examples, samples, strict=True)):
        requests = [given[:2] for given in sample["arguments"]][: len(example.choices)]
        prompts = example.contexts or (example.prompt,) * len(example.choices)
        assert requests == list(zip(prompts, example.choices, strict=True))
        before = len(merged)
        encode_choices(tokenizer, [example], merged.append)
        for protocol, metric in METRICS.items():
            if metric not in sample or len(merged) > before:
                continue
            answer = answers[each.key, shots][protocol][i]
            if answer.prediction is None:
                ties += 1
            else:
                assert answer.correct == bool(sample[metric]), (i, metric)
    assert len(merged) < ROWS // 2
    assert ties <= (4 if each.name in ("arc_easy", "arc_challenge") else 0)
