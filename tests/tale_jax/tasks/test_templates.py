"""Tasks through chat templates, as plain text, and through templates that fail."""

import pytest

from attention.errors import InputError
from tale_jax.tasks.chat import render
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import encode_choices, with_shots

TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def chat_task():
    examples = tuple(Example(f"Question: {i}?", (" A", " B"), i % 2) for i in range(7))
    return Task(
        "t", examples[:3], examples[3:5], examples[5:], instruction="Choose.", cue="\nAnswer:",
        chat=True, stop=("\n",),
    )  # fmt: skip


def test_plain_text_and_chat(letter_tokenizer, tmp_path):
    task = with_shots(chat_task(), 1)
    tokenizer = letter_tokenizer()
    plain = render(task, tokenizer)
    shown = plain.search[0].prompt.split("\n\n")
    assert shown[0] == "Choose." and shown[1][-2:] in (" A", " B")
    assert shown[2] == "Question: 0?\nAnswer:"
    tokenizer.chat_template = TEMPLATE
    spoken = render(task, tokenizer)
    prompt = spoken.search[0].prompt
    assert prompt.startswith("[system]Choose.\n[user]Question:")
    assert prompt.endswith("[user]Question: 0?\n[assistant]")
    assert spoken.search[0].choices == ("A", "B") and spoken.stop == ()
    assert render(task, tokenizer, "none") == plain
    file = tmp_path / "own.jinja"
    file.write_text("{{ bos_token }}<{{ messages[-1].content }}>")
    own = render(task, tokenizer, str(file))
    assert own.search[0].prompt == "<s><Question: 0?>"
    for choices in encode_choices(tokenizer, own.search):  # the template's own token, once
        assert all(choice.tokens.count(tokenizer.bos_token_id) == 1 for choice in choices)
    # the examples of a file are left alone unless a template is named
    raw = Task("f", (Example("ab", (" c", " d"), 0),))
    assert render(raw, tokenizer) == raw
    assert render(raw, tokenizer, str(file)).search[0].prompt == "<s><ab>"


def test_templates_that_fail(letter_tokenizer, tmp_path):
    tokenizer, task = letter_tokenizer(), with_shots(chat_task(), 0)
    file = tmp_path / "t.jinja"
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    file.write_text(strict + TEMPLATE)
    prompt = render(task, tokenizer, str(file)).search[0].prompt
    assert prompt == "[user]Choose.\n\nQuestion: 0?\n[assistant]"
    for text, why in [
        ("{% for %}", "line 1"),
        ("{{ raise_exception('never') }}", "never"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=why) as error:
            render(task, tokenizer, str(file))
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no such file"):
        render(task, tokenizer, str(tmp_path / "none.jinja"))
