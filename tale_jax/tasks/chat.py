"""Puts prompts through a chat template, that of the tokenizer or one of the user."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from attention.errors import InputError
from attention.files import read_bytes
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import Tokenizer

PLAIN = "none"
Messages = Sequence[tuple[str, str]]


def render(task: Task, tokenizer: Tokenizer, template: str | None = None) -> Task:
    """Put the prompts of a task into the form in which its model is asked.

    The prompts of a benchmark go through the chat template of the tokenizer if it has one. Those of
    files and of lm-eval stay plain text unless a template is named. If a template has no place for
    a system message, the instruction opens the first turn of the user. In a chat, choices lose the
    space in front, and in a benchmark the end of the turn takes the place of the stop strings.

    Args:
        task: its prompts have their shots already.
        tokenizer: of the model.
        template: a jinja2 file like the chat templates of Hugging Face, run in their sandbox, with
            ``messages``, ``add_generation_prompt`` and the tokenizer's special tokens; ``none`` for
            plain text.

    Raises:
        InputError: the template cannot be read or fails.
    """
    if template == PLAIN or (
        template is None and not (task.chat and getattr(tokenizer, "chat_template", None))
    ):
        return _mapped(task, lambda example: dataclasses.replace(example, messages=()))
    speak = _speaker(tokenizer, template, _messages(task.search[0]))

    def rendered(example: Example) -> Example:
        choices = example.choices
        if choices is not None:
            bare = tuple(choice.lstrip() for choice in choices)
            choices = bare if all(bare) else choices
        return dataclasses.replace(
            example,
            prompt=speak(_messages(example)),
            choices=choices,
            contexts=tuple(speak((("user", context),)) for context in example.contexts),
            messages=(),
        )

    done = _mapped(task, rendered)
    return dataclasses.replace(done, stop=()) if task.chat else done


def _mapped(task: Task, change: Callable[[Example], Example]) -> Task:
    return dataclasses.replace(
        task,
        search=tuple(map(change, task.search)),
        test=None if task.test is None else tuple(map(change, task.test)),
    )


def _messages(example: Example) -> Messages:
    return example.messages or (("user", example.prompt),)


def _speaker(
    tokenizer: Tokenizer, template: str | None, first: Messages
) -> Callable[[Messages], str]:
    """The function that makes a text of messages; it has been tried on the first ones."""
    source, name = None, "the tokenizer's chat template"
    if template is not None:
        try:
            source, name = read_bytes(template).decode(), template
        except UnicodeDecodeError:
            raise InputError(f"{template}: not UTF-8; save it as UTF-8") from None

    def speak(messages: Messages) -> str:
        text = tokenizer.apply_chat_template(
            [{"role": role, "content": text} for role, text in messages],
            chat_template=source,
            tokenize=False,
            add_generation_prompt=True,
        )
        return str(text)

    failure = None
    for form in (tuple, _without_system):
        try:
            speak(form(first))
            return lambda messages: speak(form(messages))
        except Exception as error:  # a template may raise anything
            line = getattr(error, "lineno", None)
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            failure = failure or (f"{name}{f', line {line}' if line else ''}: {reason}")
    raise InputError(f"{failure}; mend it, or give --template none for plain text")


def _without_system(messages: Messages) -> Messages:
    """The messages, with the system message at the beginning of the first turn of the user."""
    if len(messages) < 2 or messages[0][0] != "system":
        return messages
    (_, instruction), (role, text), *others = messages
    return ((role, f"{instruction}\n\n{text}"), *others)
