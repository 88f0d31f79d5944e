"""Puts prompts through a chat template, that of the tokenizer or one of the user."""

from __future__ import annotations

import dataclasses
import datetime
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attention.errors import InputError
from attention.files import read_bytes
from attention.limits import confined
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import Tokenizer

AUTO, PLAIN, CHAT = "auto", "none", "chat"
CLOCK = "strftime_now"  # what a template asks for the time
ASKS = re.compile(rf"""\b{CLOCK}\s*\(\s*(["'])((?:(?!\1).)*)\1\s*\)""")
Messages = Sequence[tuple[str, str]]
Speaker = Callable[[Messages], str]


@dataclasses.dataclass(frozen=True)
class Template:
    """A chat template, and what it is told.

    Attributes:
        name: for error messages.
        source: jinja2.
        variables: its own variables, by name.
        date: the day that it is told; None: today.
    """

    name: str
    source: str
    variables: Mapping[str, object]
    date: datetime.date | None = None


def render(
    task: Task,
    tokenizer: Tokenizer,
    template: str = AUTO,
    variables: Sequence[str] = (),
    date: str | None = None,
) -> Task:
    """Put the prompts of a task into the form in which its model is asked.

    By default the prompts of a benchmark go through the chat template of the tokenizer if it has
    one, and those of files and of lm-eval stay plain text. If a template refuses a system message
    or passes over it, the instruction opens the first turn of the user. In a chat, choices lose the
    space in front, and in a benchmark the end of the turn takes the place of stop strings that are
    line breaks alone.

    Args:
        task: its prompts have their shots already.
        tokenizer: of the model.
        template: ``auto``; ``chat``, the tokenizer's chat template for any task; ``none``, plain
            text; or a jinja2 file like the chat templates of Hugging Face, run in their sandbox,
            with ``messages``, ``add_generation_prompt`` and the tokenizer's special tokens.
        variables: further variables of the template, as ``name=value``.
        date: the day, as 2026-01-02, that the template is told if it asks; None: today.

    Returns:
        The task; its prompts bring their special tokens if they went through a template.

    Raises:
        InputError: the template cannot be read, fails, or leaves out the question; variables that
            it does not have; a date that is none.
    """
    chosen = choose_template(task, tokenizer, template, variables, date)
    if chosen is None:
        return _mapped(task, lambda example: dataclasses.replace(example, messages=()))
    speak = _speaker(tokenizer, chosen)
    form = _form(speak, _messages(task.search[0]))

    def rendered(example: Example) -> Example:
        choices = example.choices
        if choices is not None:
            bare = tuple(choice.lstrip() for choice in choices)
            choices = bare if all(bare) else choices
        return dataclasses.replace(
            example,
            prompt=speak(form(_messages(example))),
            choices=choices,
            contexts=tuple(speak(_turns(example, context)) for context in example.contexts),
            messages=(),
            rendered=True,
        )

    done = _mapped(task, rendered)
    notes = _lost(speak, form(_messages(task.search[0])), chosen.name)
    stop = task.stop
    if task.chat and stop is not None:
        stop = tuple(text for text in stop if text.strip())
    return dataclasses.replace(done, stop=stop, notes=(*task.notes, *notes))


def choose_template(
    task: Task,
    tokenizer: Tokenizer,
    template: str = AUTO,
    variables: Sequence[str] = (),
    date: str | None = None,
) -> Template | None:
    """The template that a task goes through, or None for plain text; arguments as of ``render``.

    Raises:
        InputError: as ``render``, for all that is known before the template runs.
    """
    own = bool(getattr(tokenizer, "chat_template", None))
    given = dict(map(_variable, (word for text in variables for word in _divided(text))))
    if template == PLAIN or (template == AUTO and not (task.chat and own)):
        if given or date is not None:
            flag = "--template-variables" if given else "--template-date"
            raise InputError(
                f"{flag} means nothing where prompts are plain text; "
                f"give --template {CHAT} or a file"
            )
        return None
    if template in (AUTO, CHAT):
        if not own:
            raise InputError(
                f"the tokenizer has no chat template; give --template FILE, or {PLAIN}"
            )
        name, source = "the tokenizer's chat template", _own_source(tokenizer)
    else:
        name, source = template, _read(template)
    reserved = inspect.signature(tokenizer.apply_chat_template).parameters
    for variable in given:
        if variable in reserved or variable in ("messages", CLOCK):
            raise InputError(f"--template-variables {variable}: this one is not yours to set")
        if not re.search(rf"\b{re.escape(variable)}\b", source):
            raise InputError(f"--template-variables {variable}: {name} has no such variable")
    if date is not None and CLOCK not in source:
        raise InputError(f"--template-date means nothing: {name} writes no date")
    return Template(name, source, given, None if date is None else _day(date))


def template_date(template: Template, tokenizer: Tokenizer) -> str | None:
    """The day that a template would tell its model now, as 2026-01-02; None if it tells none."""
    if CLOCK not in template.source:
        return None
    if template.date is not None:
        return template.date.isoformat()
    asks = dataclasses.replace(template, source=f"{{{{ {CLOCK}('%Y-%m-%d') }}}}")
    return _speaker(tokenizer, asks)((("user", ""),))


def _mapped(task: Task, change: Callable[[Example], Example]) -> Task:
    return dataclasses.replace(
        task,
        search=tuple(map(change, task.search)),
        test=None if task.test is None else tuple(map(change, task.test)),
    )


def _turns(example: Example, context: str) -> Messages:
    """The chat about an example with one of its contexts in place of its prompt."""
    *before, (role, question) = _messages(example)
    front = example.prompt.removesuffix(question)  # the shots, which the chat has as turns
    return (*before, (role, context.removeprefix(front)))


def _messages(example: Example) -> Messages:
    return example.messages or (("user", example.prompt),)


def _speaker(tokenizer: Tokenizer, template: Template) -> Speaker:
    """The function that makes a text of messages; it raises InputError if the template fails."""
    source = template.source if template.date is None else _on(template.date, template)
    how: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
    how |= {"chat_template": source, **template.variables}

    def speak(messages: Messages) -> str:
        try:
            turns = [{"role": role, "content": text} for role, text in messages]
            with confined(template.name):
                text = tokenizer.apply_chat_template(turns, **how)
        except Exception as error:  # a template may raise anything
            line = getattr(error, "lineno", None)
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"{template.name}{f', line {line}' if line else ''}: {reason}; "
                f"mend it, or give --template {PLAIN} for plain text"
            ) from None
        return str(text)

    return speak


def _on(date: datetime.date, template: Template) -> str:
    """The template with the date written where it asks for it.

    Raises:
        InputError: it asks with a format that does not stand there as text.
    """
    noon = datetime.datetime.combine(date, datetime.time(12))
    source = ASKS.sub(lambda found: json.dumps(noon.strftime(found[2])), template.source)
    if re.search(rf"\b{CLOCK}\s*\(", source):
        raise InputError(
            f"{template.name} asks {CLOCK} with a format that is no text in quotation marks; "
            "write it so"
        )
    return source


def _form(speak: Speaker, first: Messages) -> Callable[[Messages], Messages]:
    """How the template takes messages: as they are, or without a system message.

    Raises:
        InputError: it takes them in neither form.
    """
    try:
        if first[0][0] != "system" or not _passes_over(speak, first, 0):
            speak(first)
            return tuple
    except InputError as error:
        try:
            speak(_without_system(first))
        except InputError:
            raise error from None
    return _without_system


def _passes_over(speak: Speaker, messages: Messages, place: int) -> bool:
    """Whether one of the messages makes no difference to the text."""
    role, text = messages[place]
    others = [*messages[:place], (role, f"{text} So it is."), *messages[place + 1 :]]
    return speak(messages) == speak(others)


def _lost(speak: Speaker, messages: Messages, name: str) -> list[str]:
    """A line for the user if the template passes over turns before the last.

    Raises:
        InputError: it passes over the question.
    """
    *before, last = (_passes_over(speak, messages, place) for place in range(len(messages)))
    if last:
        raise InputError(f"{name} leaves out the question: it must write messages[-1].content")
    if any(before):
        return [f"{name} leaves out {sum(before)} of the {len(before)} turns before the question"]
    return []


def _without_system(messages: Messages) -> Messages:
    """The messages, with the system message at the beginning of the first turn of the user."""
    if len(messages) < 2 or messages[0][0] != "system":
        return messages
    (_, instruction), (role, text), *others = messages
    return ((role, f"{instruction}\n\n{text}"), *others)


def _own_source(tokenizer: Tokenizer) -> str:
    """The tokenizer's own template, the one for plain chats if it has several."""
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the tokenizer's chat template: {reason}") from None


def _read(file: str) -> str:
    try:
        return read_bytes(file).decode()
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8; save it as UTF-8") from None


def _divided(text: str) -> list[str]:
    """``a=1,b=x, y`` → ``a=1`` and ``b=x, y``: a comma divides where a name follows."""
    return re.split(r",(?=\s*[A-Za-z_]\w*=)", text)


def _variable(word: str) -> tuple[str, object]:
    """``name=value``; the value is JSON (true, false, null, numbers) or else text.

    Raises:
        InputError: it is written in another way.
    """
    name, equals, value = word.strip().partition("=")
    if not equals or not name.isidentifier():
        raise InputError(f"--template-variables is written NAME=VALUE, not {word!r}")
    try:
        return name, json.loads(value.lower() if value in ("True", "False") else value)
    except ValueError:
        return name, value


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--template-date is written 2026-01-02, not {text!r}") from None
