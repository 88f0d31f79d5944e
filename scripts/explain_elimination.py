"""What attention explains of a language model's answers, before and after elimination.

    tale search --model MODEL --task TASK --choices letters --out runs/letters
    python scripts/explain_elimination.py --run runs/letters --limit 20     # minutes a variant

The model of a finished search is asked as it was searched: each question has the same choices, of
one token each.  Its logits of these tokens are read as those of labels, which makes a classifier,
and what ``attn explain`` measures of a classifier is measured for the whole model, for BEST, for
BSBA, and for models without as many layers, drawn at random.

For each the table has the share of right answers; the tokens of a row that have weight in efficient
attention's vertex, of those that the row sees (the mean over heads); the share of answers that
uniform and permuted attention flip; and AOPC, the comprehensiveness of the ranking by efficient
attention, beside that by gradient × input.  Intervals are 95 % bootstrap over questions.  A unit is
a variant, a file of docs/results/data/across; its page and tables are in RUN/explain.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from rich.table import Table

from attention import explanation, files
from attention.command_line import Result, command, run_script
from attention.errors import InputError
from attention.files import Record
from attention.options import Count
from attention.terminal import Terminal, plain_table
from attention.transformer import keep_halves
from tale_jax import opening
from tale_jax.models import LoadedModel
from tale_jax.options import Reopening
from tale_jax.runs import FinishedRun, load_run
from tale_jax.tasks import Example, encode_choices, encode_prompts
from tale_jax.units import Dropped, kept_halves

DATA = Path("docs/results/data/across")


def variants(run: FinishedRun, depth: int, draws: int) -> dict[str, Dropped]:
    """The whole model, BEST, BSBA, and as many layers as BSBA drops, drawn at random."""
    found = {"whole": (), "BEST": run.dropped("best"), "BSBA": run.dropped("bsba")}
    if not all(isinstance(unit, int) for dropped in found.values() for unit in dropped):
        raise InputError(f"{run.directory} dropped half-layers: give a search of whole layers")
    for i in range(draws):
        order = np.random.default_rng(i).permutation(depth)
        found[f"random {i}"] = tuple(sorted(order[: len(found["BSBA"])].tolist()))
    return found


def answer_tokens(model: LoadedModel, examples: list[Example]) -> list[int]:
    """The token of each choice, the same for all questions."""
    encoded = encode_choices(model.tokenizer, examples)
    found = {
        tuple(tuple(choice.tokens[-choice.num_choice_tokens :]) for choice in each)
        for each in encoded
    }
    if len(found) != 1 or any(len(tokens) != 1 for tokens in next(iter(found))):
        raise InputError("the choices must be the same for all questions, and one token each")
    return [tokens[0] for tokens in next(iter(found))]


def padded(tokens: list[int], length: int) -> explanation.Inputs:
    """A prompt as the classifier reads it; all have one length, so that few programs compile."""
    where = np.arange(length) < len(tokens)
    ids = np.pad(np.asarray(tokens, np.int32), (0, length - len(tokens)))
    return explanation.Inputs(ids, where, np.zeros_like(ids), None)


def examine(
    model: LoadedModel, examples: list[Example], dropped: Dropped, out: Path, terminal: Terminal
) -> Record:
    """Measure the decisions of a variant; its page and tables go into a folder."""
    answers = answer_tokens(model, examples)
    halves = kept_halves(dropped, model.config.num_hidden_layers)
    config, params = model.config.keep_halves(halves), keep_halves(model.params, halves)
    classifier = explanation.Classifier(*explanation.answering_classifier(config, params, answers))
    prompts, records = encode_prompts(model.tokenizer, examples), []
    longest = max(map(len, prompts))
    every_LN = np.ones((len(classifier.attending), config.num_attention_heads), bool)
    with terminal.steps("decisions", len(examples)) as advance:
        for i, (tokens, example) in enumerate(zip(prompts, examples, strict=True)):
            decision = explanation.Decision(classifier, padded(tokens, longest), every_LN, 1000 * i)
            words = model.tokenizer.convert_ids_to_tokens(tokens)
            found = explanation.measure_decision(decision, int(example.answer), show=i == 0)
            records.append({"example": i, "tokens": words, "read": None, **found})
            advance()
    out.mkdir(parents=True, exist_ok=True)
    settings = {"model": model.config.family, "task": "", "dtype": model.config.dtype}
    labels = [str(model.tokenizer.decode([answer])) for answer in answers]
    summary = explanation.write_report(out, settings, labels, records)
    flips = {name: summary["interventions"][name]["flip"] for name in ("uniform", "permuted")}
    aopc = {name: summary["aopc"][name]["comprehensiveness"]
            for name in ("efficient", "gradient × input")}  # fmt: skip
    found = {"dropped": list(dropped), "examples": len(records), "right": summary["accuracy"]}
    supports = {name: summary["heads"][f"support_{name}"] for name in ("raw", "vertex")}
    return {**found, "support": supports, "flips": flips, "aopc": aopc}


def tables_of(found: dict[str, Record]) -> list[Table]:
    """A line for each variant: right answers and flips, and the areas over perturbation curves."""

    def between(three: list[float]) -> str:
        return f"{three[0]:.2f} [{three[1]:.2f}, {three[2]:.2f}]"

    flips, areas = [], []
    for name, row in found.items():
        support = "{vertex:.1f} of {raw:.1f}".format(**row["support"])
        right = f"{row['right']:.0%}"
        flips.append([name, right, support, *(between(x) for x in row["flips"].values())])
        gone = " ".join(map(str, row["dropped"])) or "none"
        areas.append([name, gone, *(between(x) for x in row["aopc"].values())])
    titles = ["model", "right", "support", "uniform flips", "permuted flips"]
    return [
        plain_table(titles, flips),
        plain_table(["model", "layers dropped", "AOPC efficient", "AOPC gradient"], areas, words=2),
    ]


@command
def main(run: Path, *, data: Path = DATA, limit: Count = 20, draws: Count = 3) -> Result:
    """Explain the answers of a searched model, and of what is left of it.

    Args:
        run: directory of a finished search, whose choices are the same letters or words everywhere
        data: folder of the finished units
        limit: questions that are explained
        draws: models without as many layers as BSBA, drawn at random
    """
    searched, terminal, found = load_run(run), Terminal(), {}
    model = opening.reopen_model(searched)
    scorer = opening.reopen_scorer(searched, model, Reopening(limit=limit), terminal)
    examples = list(scorer.examples["test" if "test" in scorer.examples else "search"])
    for name, dropped in variants(searched, model.config.num_hidden_layers, draws).items():
        unit = f"explained-{run.name}-{name.replace(' ', '-')}-{limit}"
        look = functools.partial(examine, model, examples, dropped, run / "explain" / unit)
        found[name] = files.finished(data / f"{unit}.json", functools.partial(look, terminal))
    return Result(found, f"{run.name}: {len(examples)} questions", *tables_of(found))


if __name__ == "__main__":
    run_script(main)
