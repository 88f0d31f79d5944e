"""Task files: what is read, what is refused and how, and that nothing else escapes."""

import gzip
import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from tale_jax.tasks.examples import Example, Task, read_examples
from tale_jax.tasks.loading import SOURCES, load_task, named_tasks
from tale_jax.tasks.request import Source

CHOSEN = {"prompt": "Sky?", "choices": [" red", " blue"], "answer": 1}
WRITTEN = {"prompt": "2 + 2 =", "answer": " 4"}


def write(path, *lines):
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def numbered(count, start=0):
    return [{**CHOSEN, "prompt": f"question {i}"} for i in range(start, start + count)]


def test_both_kinds(tmp_path):
    assert read_examples(write(tmp_path / "a.jsonl", CHOSEN)) == (
        Example("Sky?", (" red", " blue"), 1),
    )
    assert read_examples(write(tmp_path / "b.jsonl", WRITTEN)) == (Example("2 + 2 =", None, " 4"),)


def test_gzip_bom_blank_lines_and_line_separators_inside_strings(tmp_path):
    line = '{"prompt": "a\u2028b\u0085", "answer": "x"}\r\n'
    content = b"\xef\xbb\xbf\n" + line.encode() + b"\n  \n"
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(content))
    assert read_examples(path) == (Example("a\u2028b\u0085", None, "x"),)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ("1", "not a JSON object"),
        ('{"prompt": "a"}', "no answer"),
        ('{"answer": "a"}', "no prompt"),
        ('{"prompt": 1, "answer": "a"}', "prompt is 1, not a string"),
        ('{"prompt": null, "answer": "a"}', "prompt is None"),
        ('{"prompt": "a", "answer": "a", "anwser": 1}', "unknown key 'anwser'"),
        ('{"prompt": "a", "prompt": "b", "answer": "a"}', "given twice"),
        ('{"prompt": "a", "answer": ""}', "answer is empty"),
        ('{"prompt": "a", "answer": " \\n"}', "answer is empty"),
        ('{"prompt": "a", "answer": "b\\nc"}', "more than one line"),
        ('{"prompt": "a", "answer": 0}', "answer is the number 0"),
        ('{"prompt": "a", "answer": 1.5}', "answer is 1.5, not a string"),
        ('{"prompt": "a", "answer": NaN}', "NaN is not JSON"),
        ('{"prompt": "a", "answer": 1e999}', "answer is inf"),
        ('{"prompt": "a", "choices": ["x", "y"], "answer": -Infinity}', "-Infinity is not JSON"),
        ('{"prompt": "a", "choices": ["x", "y"], "answer": 2}', "answer 2 is out of range"),
        ('{"prompt": "a", "choices": ["x", "y"], "answer": -1}', "answer -1 is out of range"),
        ('{"prompt": "a", "choices": ["x", "y"], "answer": true}', "answer is True"),
        ('{"prompt": "a", "choices": ["x", "y"], "answer": "x"}', "answer is 'x', not the index"),
        ('{"prompt": "a", "choices": ["x", "y"], "answer": 1.0}', "answer is 1.0, not the index"),
        ('{"prompt": "a", "choices": ["x", "y"], "answer": ' + "9" * 5000 + "}", "too large"),
        ('{"prompt": "a", "choices": ["x"], "answer": 0}', "two strings or more"),
        ('{"prompt": "a", "choices": null, "answer": "x"}', "two strings or more"),
        ('{"prompt": "a", "choices": "xy", "answer": 0}', "two strings or more"),
        ('{"prompt": "a", "choices": ["x", 2], "answer": 0}', "choice 1 is 2, not a string"),
        ('{"prompt": "a", "choices": ["", "x"], "answer": 0}', "choice 0 is empty"),
        ('{"prompt": "a\\u0000", "answer": "a"}', "zero character"),
        ('{"prompt": "\\ud800", "answer": "a"}', "surrogate"),
        ("[" * 100_000, "nested too deeply"),
        (json.dumps(WRITTEN), "some have none"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, why):
    path = write(tmp_path / "t.jsonl", "", CHOSEN, line)
    with pytest.raises(InputError) as error:
        read_examples(path)
    message = str(error.value)
    assert message.startswith(f"{path}:3: ") and why in message and "\n" not in message
    assert len(message) < len(str(path)) + 150


def test_bytes_that_are_not_text(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"prompt": "\xff", "answer": "a"}')
    with pytest.raises(InputError, match=r":1: byte 13 is not UTF-8"):
        read_examples(path)


def test_files_that_cannot_be_read(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    whole = gzip.compress(json.dumps(CHOSEN).encode())
    cut, flipped = tmp_path / "cut.gz", tmp_path / "flipped.gz"
    cut.write_bytes(whole[:-9])
    flipped.write_bytes(whole[:12] + bytes([whole[12] ^ 255]) + whole[13:])
    for path, why in [
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path, "is a folder, not a file"),
        (empty, "no example"),
        (cut, "damaged gzip"),
        (flipped, "damaged gzip"),
        ("a\0b.jsonl", "not a file name"),
        ("x" * 5000 + ".jsonl", "cannot be read"),
    ]:
        with pytest.raises(InputError, match=why):
            load_task(str(path))


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(InputError, match=r"no demo task 'bolean'.*boolean"):
        load_task("demo:bolean")
    with pytest.raises(InputError, match=r"no task 'gsm8' .*gsm8k"):
        load_task("gsm8")


def test_the_named_tasks_have_a_line_each():
    assert len(named_tasks()) >= 5 + 9 + 4
    for description in named_tasks().values():
        assert description and "\n" not in description


def test_a_named_task_has_its_own_disjoint_splits():
    task = load_task("demo:arithmetic", limit=20)
    assert task.name == "demo:arithmetic" and task.generated and len(task.search) == 20
    assert task.test is not None and len(task.test) == 20 and task.train
    prompts = {e.prompt for split in (task.search, task.test, task.train) for e in split}
    assert len(prompts) == 20 + 20 + len(task.train)


def test_a_file_is_searched_whole_unless_divided(tmp_path):
    path = write(tmp_path / "t.jsonl", *numbered(200))
    task = load_task(str(path))
    assert len(task.search) == 200 and task.test is None and task.train is None
    halves = load_task(str(path), holdout=0.5)
    assert halves.test is not None
    assert 70 < len(halves.test) < 130
    assert sorted([*halves.search, *halves.test], key=str) == sorted(task.search, key=str)
    # the division is by the example alone: neither order nor neighbours matter
    fewer = write(tmp_path / "u.jsonl", *numbered(100, 50)[::-1])
    again = load_task(str(fewer), holdout=0.5)
    assert again.test is not None
    assert set(again.search) <= set(halves.search) and set(again.test) <= set(halves.test)


def test_the_division_of_examples_without_prompts(tmp_path):
    lines = [{"prompt": "", "choices": [f"good {i}", f"bad {i}"], "answer": 0} for i in range(50)]
    task = load_task(str(write(tmp_path / "t.jsonl", *lines)), holdout=0.3)
    assert task.test is not None and 5 < len(task.test) < 30


def test_limit_takes_the_first_of_each_evaluated_split(tmp_path):
    search = write(tmp_path / "s.jsonl", *numbered(5))
    test = write(tmp_path / "t.jsonl", *numbered(5, 10))
    train = write(tmp_path / "u.jsonl", *numbered(5, 20))
    task = load_task(str(search), test=test, train=train, limit=2)
    whole = load_task(str(search), test=test, train=train)
    assert task.test is not None and whole.test is not None
    assert task.search == whole.search[:2] and task.test == whole.test[:2]
    assert task.train == whole.train and not task.generated


def test_options_that_make_no_sense(tmp_path):
    search = write(tmp_path / "s.jsonl", *numbered(4))
    other = write(tmp_path / "t.jsonl", *numbered(4, 10))
    kind = write(tmp_path / "k.jsonl", WRITTEN)
    overlap = write(tmp_path / "o.jsonl", *numbered(4, 3))
    for arguments, why in [
        ({"limit": 0}, "limit 0"),
        ({"holdout": 0.0}, "not between 0 and 1"),
        ({"holdout": float("nan")}, "not between 0 and 1"),
        ({"holdout": 1e-9}, "leaves a split empty"),
        ({"holdout": 0.5, "test": other}, "only one of them"),
        ({"test": kind}, "files of one kind"),
        ({"train": kind}, "files of one kind"),
        ({"test": overlap}, "1 of 4 examples are in"),
        ({"train": overlap}, "1 of 4 examples are in"),
        ({"test": other, "train": other}, "4 of 4 examples are in the test split"),
    ]:
        with pytest.raises(InputError, match=why):
            load_task(str(search), **arguments)
    with pytest.raises(InputError, match="its own splits"):
        load_task("demo:boolean", test=other)


def capitals(request=None):
    """A task from outside the package."""
    examples = tuple(Example(f"The capital of {name} is", None, name[::-1]) for name in "abc")
    return Task("capitals", examples[:2], train=examples[2:])


def test_a_source_of_your_own_is_one_row(monkeypatch, tmp_path):
    monkeypatch.setitem(
        SOURCES, "capitals", Source(capitals, lambda: {"capitals": "capitals of countries"})
    )
    assert named_tasks()["capitals"] == "capitals of countries"
    assert len(load_task("capitals", limit=1).search) == 1
    shown = load_task("capitals:europe", data=tmp_path, shots=1)
    assert shown.search[0].prompt == "The capital of c isc\n\nThe capital of a is"
    with pytest.raises(InputError, match="its own splits"):
        load_task("capitals", holdout=0.5)


def test_a_function_of_your_own_is_a_task(tmp_path, monkeypatch):
    (tmp_path / "my_tasks.py").write_text(
        "from tale_jax.tasks import Example, Task\n\n\n"
        "def letters():\n"
        "    examples = [Example(f'after {a}', None, b) for a, b in ('ab', 'bc', 'cd')]\n"
        "    return Task('letters', tuple(examples[:2]), train=tuple(examples[2:]))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = load_task("my_tasks:letters", split="train")
    assert task.name == "my_tasks:letters"
    assert [example.answer for example in task.search] == ["d"]
    for name, why in [
        ("my_tasks:nothing", "cannot be imported"),
        ("no.thing:x", "No module"),
        ("os:getcwd", "os:getcwd returned a str, not a Task"),
    ]:
        with pytest.raises(InputError, match=why):
            load_task(name)


def test_one_split_alone(tmp_path):
    path = write(tmp_path / "t.jsonl", *numbered(40))
    train = write(tmp_path / "u.jsonl", *numbered(7, 50))
    given = {"train": train, "holdout": 0.5}
    whole = load_task(str(path), **given)
    for split in ("search", "test", "train"):
        alone = load_task(str(path), split=split, **given)
        assert alone.search == getattr(whole, split) and alone.test is None and not alone.halves
    official = load_task(str(path), split="validation", limit=37, **given)
    assert [e.prompt for e in official.search] == [f"question {i}" for i in range(37)]
    shown = load_task(str(path), split="train", shots=2, **given)
    assert len(shown.search) == 5  # nobody is asked what is shown
    assert all(e.prompt.count("question") == 3 for e in shown.search)
    with pytest.raises(InputError, match="no test split"):
        load_task(str(path), split="test")


TEXTS = st.text(max_size=8) | st.sampled_from(["prompt", "choices", "answer", "\ud800", "\0"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "prompt": TEXTS | VALUES,
        "choices": st.lists(TEXTS, max_size=4) | VALUES,
        "answer": st.integers(-1, 3) | VALUES,
        "other": VALUES,
    },
)
LINES = st.one_of(
    st.binary(max_size=30),
    st.text(string.printable, max_size=30).map(str.encode),
    VALUES.map(lambda value: json.dumps(value).encode()),
    ALMOST.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([CHOSEN, WRITTEN]).map(lambda value: json.dumps(value).encode()),
)


@settings(
    max_examples=4 * settings.default.max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(LINES, max_size=4), packed=st.booleans(), cut=st.none() | st.integers(0, 99))
def test_no_file_brings_anything_but_examples_or_an_input_error(tmp_path, lines, packed, cut):
    content = b"\n".join(lines)
    path = tmp_path / "fuzz.jsonl"
    path.write_bytes((gzip.compress(content) if packed else content)[:cut])
    try:
        task = load_task(str(path))
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert isinstance(task, Task)
    for example in task.search:
        assert example.prompt.encode() is not None and (example.choices is None) == task.generated
        if example.choices is None:
            assert isinstance(example.answer, str) and example.answer.strip()
        else:
            assert type(example.answer) is int and 0 <= example.answer < len(example.choices)
