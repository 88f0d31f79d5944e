"""What attention explains of a language model's answers, before and after elimination.

    tale search --model MODEL --task TASK --out runs/searched
    python scripts/explain_elimination.py --run runs/searched --limit 20     # minutes a variant

The model of a finished search is asked as it was searched.  Its logits of the first tokens of a
question's choices are read as those of labels: a classifier.  What ``attn explain`` measures of one
is measured for the whole model, for BEST, for BSBA, and for models without as many layers, drawn at
random.  Questions are left out where two choices begin with one token.

For each the table has the share of right answers, by the first token; the tokens of a row that have
weight in efficient attention's vertex, of those that the row sees (the mean over heads); the share
of answers that uniform and permuted attention flip; and AOPC, the comprehensiveness of the ranking
by efficient attention, beside that by gradient × input.  Intervals are 95 % bootstrap over
questions.  A unit is a variant, a file of docs/results/data/across; its page is in RUN/explain.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from across.explained import numbers_of, tables_of, variants, without

from attention import explanation, files
from attention.command_line import Result, command, run_script
from attention.errors import InputError
from attention.explanation import Inputs
from attention.files import Record
from attention.options import Count
from attention.terminal import Terminal
from attention.transformer import keep_halves, unstack_layers
from tale_jax import opening
from tale_jax.models import LoadedModel
from tale_jax.options import Reopening
from tale_jax.runs import load_run
from tale_jax.tasks import Example, encode_choices
from tale_jax.units import Dropped, kept_halves

DATA = Path("docs/results/data/across")


class Question(NamedTuple):
    """The tokens of a prompt, the first token of each choice, and the place of the right one."""

    prompt: list[int]
    answers: list[int]
    right: int


def questions_of(model: LoadedModel, examples: Sequence[Example], limit: int) -> list[Question]:
    """The first questions whose choices begin differently, all with as many choices.

    Raises:
        InputError: there is none, or the answers are written.
    """
    if not examples or not examples[0].choices:
        raise InputError("the answers are written: only choices can be explained")
    many, found = len(examples[0].choices), []
    for example, choices in zip(examples, encode_choices(model.tokenizer, examples), strict=True):
        ends = [(tokens[:-count], tokens[-count]) for tokens, count in choices]
        (prompt, _), answers = ends[0], [first for _, first in ends]
        alike = all(each == prompt for each, _ in ends)
        if alike and len(answers) == len(set(answers)) == many:
            found.append(Question(prompt, answers, int(example.answer)))
    if not found:
        raise InputError("in each question two choices begin with one token")
    return found[:limit]


def examine(
    model: LoadedModel, asked: list[Question], dropped: Dropped, out: Path, terminal: Terminal
) -> Record:
    """Measure the decisions of a variant; its page and tables go into a folder."""
    halves = kept_halves((*dropped, *model.missing), model.config.num_hidden_layers)
    config = model.config.keep_halves(halves)
    params = unstack_layers(keep_halves(model.params, halves))  # once, not for each question
    longest, records = max(len(question.prompt) for question in asked), []
    every_LN = np.ones((len(config.attending), config.num_attention_heads), bool)
    with terminal.steps("decisions", len(asked)) as advance:
        for i, (tokens, answers, right) in enumerate(asked):
            answering = explanation.answering_classifier(config, params, answers)
            classifier, inputs = explanation.Classifier(*answering), Inputs.padded(tokens, longest)
            decision = explanation.Decision(classifier, inputs, every_LN, 1000 * i)
            words = model.tokenizer.convert_ids_to_tokens(tokens)
            found = explanation.measure_decision(decision, right, show=i == 0)
            records.append({"example": i, "tokens": words, "read": None, **found})
            advance()
    out.mkdir(parents=True, exist_ok=True)
    settings = {"model": model.config.family, "task": "", "dtype": model.config.dtype}
    labels = [f"choice {i + 1}" for i, _ in enumerate(asked[0].answers)]
    summary = explanation.write_report(out, settings, labels, records)
    return numbers_of(summary, dropped)


@command
def main(run: Path, *, data: Path = DATA, limit: Count = 20, draws: Count = 3) -> Result:
    """Explain the answers of a searched model, and of what is left of it.

    Args:
        run: directory of a finished search, for a task with choices
        data: folder of the finished units
        limit: questions that are explained
        draws: models without as many layers as BSBA, drawn at random
    """
    searched, terminal, found = load_run(run), Terminal(), {}
    model = opening.reopen_model(searched)
    scorer = opening.reopen_scorer(searched, model, Reopening(), terminal)
    split = "test" if "test" in scorer.examples else "search"
    asked = questions_of(model, scorer.examples[split], limit)
    picks = {"BEST": searched.dropped("best"), "BSBA": searched.dropped("bsba")}
    for name, dropped in variants(picks, model.config.num_hidden_layers, draws).items():
        unit = f"explained-{run.name}-{without(dropped)}-{limit}"
        look = functools.partial(examine, model, asked, dropped, run / "explain" / unit)
        found[name] = files.finished(data / f"{unit}.json", functools.partial(look, terminal))
    return Result(found, f"{run.name}: {len(asked)} questions", *tables_of(found))


if __name__ == "__main__":
    run_script(main)
