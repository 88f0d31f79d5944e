"""The benchmarks: rows, splits, prompts and shots, on rows of our own and on the official ones."""

import dataclasses
import json

import pytest

from attention.errors import InputError
from tale_jax.tasks import asking
from tale_jax.tasks.answers import read_number
from tale_jax.tasks.data_sets import Hub
from tale_jax.tasks.examples import Example, place
from tale_jax.tasks.loading import load_task
from tale_jax.tasks.official import BENCHMARKS


@pytest.fixture
def cases(shared):
    """Inputs that failed once."""
    return shared.parent / "cases"


def write(folder, split, rows):
    folder.mkdir(exist_ok=True, parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")


def maths(count, start=0):
    """Problems in the format of MATH-500."""
    return [
        {
            "problem": f"Double {i}.", "solution": f"Twice.\n\n$\\boxed{{{2 * i}}}$",
            "answer": str(2 * i), "subject": "Algebra", "level": 1, "unique_id": f"own/{i}",
        }
        for i in range(start, start + count)
    ]  # fmt: skip


def questions(task):
    return [(e.prompt, e.choices) for e in (*task.search, *(task.test or ()))]


@pytest.mark.parametrize(
    ("name", "search", "test", "halves"),
    [
        ("arc_easy", 550, 2376, False),
        ("arc_challenge", 290, 1172, False),
        ("boolq", 1000, 2270, False),
        ("mmlu", None, 14042, True),
        ("commonsense_qa", 1000, 221, False),
        ("winogrande", None, 1267, True),
        ("openbookqa", None, 500, True),
        ("bbh_boolean_expressions", None, 250, True),
        ("bbh_navigate", None, 250, True),
        ("bbh_web_of_lies", None, 250, True),
        ("bbh_sports_understanding", None, 250, True),
        ("bbh_date_understanding", None, 250, True),
        ("bbh_logical_deduction_three_objects", None, 250, True),
        ("gsm8k", 100, 1219, False),
        ("gsm_hard", None, 1319, True),
    ],
)
def test_splits_of_the_official_files(shared, name, search, test, halves):
    task = load_task(name, data=shared / "tasks")
    assert task.test is not None and task.halves == halves
    assert not {e.question for e in task.search} & {e.question for e in task.test}
    if halves:
        assert len(task.search) + len(task.test) == test
        assert any("divided by the BLAKE2b hash" in note for note in task.notes)
        assert abs(len(task.search) - len(task.test)) < 0.3 * test
    else:
        assert (len(task.search), len(task.test)) == (search, test)
    for example in (*task.search, *task.test):
        if example.choices is None:
            assert read_number(str(example.answer)) is not None
        else:
            assert 0 <= int(example.answer) < len(example.choices)


def test_five_shots_of_mmlu_are_those_of_its_subject(shared):
    rows = [json.loads(x) for x in _lines(shared / "tasks" / "mmlu" / "dev.jsonl.gz")]
    task = load_task("mmlu", data=shared / "tasks", shots=5, limit=900)
    by_subject = {}
    for row in rows:
        by_subject.setdefault(row["subject"], []).append(asking.subject(row).prompt)
    assert {len(found) for found in by_subject.values()} == {5}
    for example in task.search[::29]:
        shown = [text for role, text in example.messages[1:-1] if role == "user"]
        assert sorted(shown) == sorted(by_subject[example.group])  # one subject has a row twice


def _lines(path):
    import gzip

    return gzip.decompress(path.read_bytes()).splitlines()


def test_math_has_whole_answers_and_loses_its_shots(tmp_path):
    rows = maths(130)
    rows[3]["answer"], rows[4]["answer"] = "\\frac{1}{2}", "1,\\!200"
    write(tmp_path / "math500", "test", rows)
    task = load_task("math500", data=tmp_path)
    assert task.test is not None and len(task.search) == 100 and len(task.test) == 29
    assert task.search[3].answer == "1200"  # the fraction is left out
    assert "no whole number" in task.notes[0]
    shown = load_task("math500", data=tmp_path, shots=3, seed=1, limit=20)
    assert shown.test is not None and len(shown.search) == 20 and len(shown.test) == 20
    whole = load_task("math500", data=tmp_path, shots=3, seed=1)
    assert whole.test is not None and len(whole.search) == 100 and len(whole.test) == 26
    assert whole.train is not None and len(whole.train) == 3
    assert "3 rows leave the test split" in whole.notes[-1]
    front = whole.search[0].prompt
    assert front.startswith(asking.SOLVE) and front.count("\n#### ") == 3
    assert front.endswith("Question: Double 0.\nAnswer:")
    assert not {e.prompt for e in whole.train} & {e.messages[-1][1] for e in whole.test}


def test_a_paper_split_that_is_there_is_used_whole(tmp_path):
    rows = [
        {"question": f"q{i}", "subject": "s", "choices": ["x", "y", "z"], "answer": i % 3}
        for i in range(40)
    ]
    write(tmp_path / "mmlu", "validation", rows[:11])
    write(tmp_path / "mmlu", "test", rows[10:])
    task = load_task("mmlu", data=tmp_path)
    assert task.test is not None and (len(task.search), len(task.test)) == (11, 29)
    assert not task.halves and "1 test rows repeat" in task.notes[0]


CHOICES = {"text": ["iron", "wood"], "label": ["A", "B"]}
LABELLED = {"question": "Which is a metal?", "choices": CHOICES, "answerKey": "A"}
PIQA = {"goal": "To eat", "sol1": "open it", "sol2": "close it", "label": 1}
HELLASWAG = {
    "activity_label": "Eating", "ctx_a": "He [step] sits.", "ctx_b": "he",
    "endings": ["eats [title] Well", "leaves"], "label": "0",
}  # fmt: skip
WINOGRANDE = {"sentence": "The _ is red .", "option1": "car", "option2": "bus", "answer": "2"}
MMLU = {"question": " Why? ", "subject": "high_art", "choices": ["x", "y"], "answer": 1}
BOOLQ = {"question": "is it", "passage": "It is.", "answer": True}
OPTIONS = "\n(A) iron\n(B) wood\nAnswer:"
CHOOSE = f"{asking.CHOOSE}\n\n"


@pytest.mark.parametrize(
    ("name", "row", "choices", "prompt", "texts"),
    [
        ("arc_easy", LABELLED, "text", "Question: Which is a metal?\nAnswer:", "iron|wood"),
        ("arc_easy", LABELLED, None, f"{CHOOSE}Question: Which is a metal?{OPTIONS}", "A|B"),
        (
            "commonsense_qa", LABELLED, None,
            "Question: Which is a metal?\nA. iron\nB. wood\nAnswer:", "A|B",
        ),
        ("commonsense_qa", LABELLED, "text", "Question: Which is a metal?\nAnswer:", "iron|wood"),
        (
            "openbookqa", LABELLED | {"question_stem": "A metal is"}, None, "A metal is",
            "iron|wood",
        ),
        (
            "openbookqa", LABELLED | {"question_stem": "A metal is"}, "letters",
            f"{CHOOSE}Question: A metal is{OPTIONS}", "A|B",
        ),
        ("piqa", PIQA, None, "Question: To eat\nAnswer:", "open it|close it"),
        ("hellaswag", HELLASWAG, "text", "Eating: He sits. He", "eats. Well|leaves"),
        ("boolq", BOOLQ, "text", "It is.\nQuestion: is it?\nAnswer:", "no|yes"),
        (
            "mmlu", MMLU, "letters",
            "The following are multiple choice questions (with answers) about high art.\n\n"
            "Why?\nA. x\nB. y\nAnswer:", "A|B",
        ),
        (
            "mmlu", MMLU, "text",
            "The following are questions (with answers) about high art.\n\n"
            "Question: Why?\nAnswer:", "x|y",
        ),
        ("winogrande", WINOGRANDE, "text", "The ", "is red .|is red ."),
    ],
)  # fmt: skip
def test_both_forms_of_a_benchmark(tmp_path, name, row, choices, prompt, texts):
    write(tmp_path / name, "validation", [row])
    (example,) = load_task(name, data=tmp_path, split="validation", choices=choices).search
    assert example.prompt == prompt
    assert example.choices == tuple(f" {text}" for text in texts.split("|"))
    if name == "winogrande":
        assert example.contexts == ("The car", "The bus") and example.answer == 1


def test_letters_where_there_is_another_usual_form(tmp_path):
    write(tmp_path / "piqa", "validation", [PIQA])
    write(tmp_path / "hellaswag", "validation", [HELLASWAG])
    given = {"data": tmp_path, "split": "validation", "choices": "letters"}
    (example,) = load_task("piqa", **given).search
    assert example.prompt.endswith("To eat\n(A) open it\n(B) close it\nAnswer:")
    (example,) = load_task("hellaswag", **given).search
    assert "Story: Eating: He sits. He\n(A) eats. Well\n(B) leaves" in example.prompt


def test_forms_that_there_are_not(tmp_path):
    write(tmp_path / "math500", "test", maths(130))
    for name, how in [("math500", {"data": tmp_path}), ("demo:facts", {})]:
        with pytest.raises(InputError, match="leave out --choices"):
            load_task(name, choices="text", **how)
    for several in ("arc_easy,boolq", "demo:facts,demo:boolean", "a.jsonl,b.jsonl", "piqa,x:y"):
        with pytest.raises(InputError, match=f"'{several}' names several tasks; give one"):
            load_task(several)


def test_rows_that_nobody_can_answer_are_left_out(tmp_path, cases):
    task = load_task("bbh_movie_recommendation", data=cases / "bbh-three-rows" / "data")
    assert task.test is not None and len(task.search) + len(task.test) == 5
    assert any(
        "split test left out because nobody can answer them: 1" in note for note in task.notes
    )
    assert any("target 'Films, Inc' is none of A, B, C, D" in note for note in task.notes)
    write(tmp_path / "piqa", "validation", [PIQA | {"label": -1}] * 3)
    with pytest.raises(InputError, match=r"no row of split validation can be asked \(no label\)"):
        load_task("piqa", data=tmp_path)


@pytest.mark.parametrize("split", [None, "search", "test", "validation"])
@pytest.mark.parametrize("choices", ["letters", "text"])
def test_what_is_shown_is_not_asked(tmp_path, choices, split):
    """Without a train split, shots come from rows that are then not scored."""
    rows = [
        {"sentence": f"It is _ as n{i}.", "option1": "one", "option2": "two", "answer": "1"}
        for i in range(31)
    ]
    write(tmp_path / "winogrande", "validation", rows)
    given = {"data": tmp_path, "split": split, "choices": choices}
    task = load_task("winogrande", shots=3, **given)
    shown = {i for i in range(31) if f"as n{i}." in task.search[0].prompt.rpartition("\n\n")[0]}
    assert len(shown) == 3
    for example in (*task.search, *(task.test or ())):
        last = (example.contexts or (example.prompt,))[0].rpartition("\n\n")[2]
        text = f"{last}{(example.choices or ('',))[0]}"
        assert not any(f"as n{i}." in text for i in shown)
    if split in (None, "validation"):
        assert len(task.search) + len(task.test or ()) == 28


def test_labels_that_are_numbers():
    row = {
        "question": "Which?", "choices": {"text": ["a", "b", "c"], "label": ["1", "2", "3"]},
        "answerKey": "3",
    }  # fmt: skip
    example = asking.labelled(row)
    assert example.choices == (" A", " B", " C") and example.answer == 2
    assert example.prompt == "Question: Which?\n(A) a\n(B) b\n(C) c"


def test_the_hub_is_read_through_datasets(tmp_path, monkeypatch):
    """A local folder in the place of the hub's data set; nothing else differs."""
    pytest.importorskip("datasets")
    folder = tmp_path / "hub"
    write(folder, "test", maths(13))
    benchmark = dataclasses.replace(BENCHMARKS["math500"], hub=Hub(str(folder)), first=7)
    monkeypatch.setitem(BENCHMARKS, "math500", benchmark)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    task = load_task("math500")
    write(tmp_path / "math500", "test", maths(13))
    assert task == load_task("math500", data=tmp_path)


def test_what_is_wrong_is_one_line(tmp_path):
    write(tmp_path / "boolq", "validation", [{"question": "a", "passage": "b", "answer": "yes"}])
    write(tmp_path / "winogrande", "validation", [{"sentence": "_", "option1": "a"}])
    write(tmp_path / "arc_easy", "train", [{"question": "a", "choices": [], "answerKey": "A"}])
    (tmp_path / "empty").mkdir()
    for name, why in [
        ("boolq", "validation.jsonl:1: answer is 'yes', not true or false"),
        ("winogrande", "validation.jsonl:1: answer is None|no field 'answer'"),
        ("arc_easy", "train.jsonl:1: a field is of another kind"),
        ("gsm8k", "no test.jsonl"),
        ("bbh_nothing", "unknown benchmark 'bbh_nothing'.*bbh_boolean_expressions"),
        ("blimp:nothing", r"no \*.jsonl"),
    ]:
        with pytest.raises(InputError, match=why) as error:
            load_task(name, data=tmp_path)
        assert "\n" not in str(error.value)
    for name, options, why in [
        ("gsm8k", {"data": tmp_path / "nowhere"}, "no such folder"),
        ("gsm8k", {"holdout": 0.5}, "its own splits"),
        ("blimp:x", {}, "give --data DIR"),
    ]:
        with pytest.raises(InputError, match=why):
            load_task(name, **options)


def test_without_a_connection(monkeypatch):
    import datasets

    def offline(*_, **__):
        raise ConnectionError("Couldn't reach\nthe hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(InputError, match="give --data DIR with files DIR/gsm8k/SPLIT") as error:
        load_task("gsm8k")
    assert "\n" not in str(error.value)


def test_the_place_of_a_question_is_stated():
    """BLAKE2b-64 of the JSON of prompt and choices, as the documentation says."""
    import hashlib

    digest = hashlib.blake2b(b'["a", ["x", "y"]]', digest_size=8).digest()
    assert place(Example("a", ("x", "y"), 1)) == int.from_bytes(digest, "big") / 2**64
