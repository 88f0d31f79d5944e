"""The commands of ``icl`` that look into a model, or ask another one; ``icl.cli`` gathers them."""

from __future__ import annotations

from pathlib import Path

from attention.errors import InputError
from icl.arguments import Directories, Sweeps, check_folder, parse_words, use_compilation_cache


def saturation(
    *, run: Path, out: Path, seed: int | None = None, most: float = 30.0, count: int = 61
) -> None:
    """Boundary values of a trained model: its plateaus, and the limits its weights predict.

    Args:
        run: directory of icl train
        out: directory for saturation.json, entropy.csv and boundary.png
        seed: which of several
        most: slopes from -most to most
        count: slopes, and inputs
    """
    from icl.analysis import saturation
    from icl.training import fitting as training

    check_folder(out)
    use_compilation_cache()
    found = saturation.survey(training.load(run, seed), out, most, count)
    ends = {
        "plateau": ("lowest", "highest"),
        "observed": ("x=1e6", "x=-1e6"),
        "limits": ("c+", "c-"),
        "effective": ("B_eff",),
    }
    for name, values in found.items():
        pairs = zip(ends[name.partition("_")[0]], values, strict=True)
        told = "".join(f"{word:>10}{value:>10.4g}" for word, value in pairs)
        print(f"{name.replace('_', ' '):24}{told}")
    print(f"\n{out / 'boundary.png'}")


def roots(
    *,
    run: Path,
    out: Path | None = None,
    seed: int = 0,
    count: int = 256,
    low: float = -3.0,
    high: float = 3.0,
) -> None:
    """How near a model comes to a root of the function that it is shown (the inverse problem).

    A run with --inverse is asked for the x of the value 0 ("swap"); any other is asked for f over
    a grid, and where it changes sign is the answer ("scan").

    Args:
        run: directory of icl train; each of its seeds is a row
        out: directory for roots.csv
        seed: of functions and inputs
        count: functions
        low: smallest root that counts
        high: largest
    """
    from icl.analysis import approximate
    from icl.evaluation import errors as evaluation
    from icl.evaluation import reporting

    if count < 1 or not low < high:
        raise InputError("there must be at least one function, and low must be less than high")
    if out is not None:
        check_folder(out)
    use_compilation_cache()
    rows, reading, told = [], "", ""
    for name, trained in evaluation.models_of(run).items():
        found = dict(approximate(trained, count=count, seed=seed, low=low, high=high))
        zero = {"unanswered": 0}
        zero |= {of: found.pop(f"{of}_of_zero") for of in ("median_distance", "within_0.1")}
        scored, without = found.pop("functions"), found.pop("without_root")
        rows += [] if rows else [{"predictor": "always 0", **zero}]
        rows.append({"predictor": name, **found})
        reading = "swap" if trained.experiment.inverse else "scan"
        told = f"{reading}: {scored} functions; {without} without a root in {low:g} to {high:g}"
    print(told, end="\n\n")
    reporting.show(rows, list(rows[0]), list(rows[0]))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        evaluation.write_csv(out / "roots.csv", [{"reading": reading, **row} for row in rows])
        print(f"\n{out / 'roots.csv'}")


def ask(
    *,
    out: Path,
    model: str,
    endpoint: str | None = None,
    run: Directories = [],  # noqa: B006
    predictors: str = "",
    sweep: Sweeps = [],  # noqa: B006
    functions: str = "affine",
    coefficients: str | None = None,
    inputs: str = "normal:0,1",
    labels: bool = True,
    count: int = 100,
    points: int = 41,
    examples: int = 5,
    decimals: int = 2,
    temperature: float = 0.0,
    seed: int = 0,
) -> None:
    """The same prompts as text, for a language model.

    Args:
        out: directory for answers.jsonl and errors.csv
        model: local folder or hub id, or the endpoint's name for its model
        endpoint: address of an OpenAI-compatible server, up to /v1; its key is read from the
            environment variable OPENAI_API_KEY
        run: a directory of icl train, asked the same; may be given several times
        predictors: baselines asked the same, between commas, as for icl evaluate
        sweep: as for icl evaluate
        functions: class, or one of every, some, mix
        coefficients: their distribution; None for normal:0,1
        inputs: their distribution
        labels: labels in context (every, some)
        count: questions a setting
        points: of a prompt
        examples: worked ones
        decimals: of every number
        temperature: 0 takes the most probable answer
        seed: of functions and inputs
    """
    from icl.evaluation import reporting
    from icl.language import asking, checkpoint
    from icl.language import endpoint as server
    from icl.training import QUANTIFIERS

    if count < 1 or points < 1 or min(examples, decimals) < 0 or temperature < 0:
        raise InputError("count and points are positive, examples and temperature not negative")
    check_folder(out)
    form = asking.Form(count, examples, decimals, seed)
    names, quantified = parse_words(predictors), functions in QUANTIFIERS
    if quantified:
        if coefficients is not None:
            raise InputError(f"{functions} has no coefficients")
        ready = asking.quantifiers_asked(functions, inputs, points, labels, names, run, sweep)
    else:
        if not labels:
            raise InputError("prompts without labels are those of every and some")
        law = coefficients or "normal:0,1"
        ready = asking.functions_asked(functions, law, inputs, points, names, run, sweep)
    use_compilation_cache()
    if endpoint is None:
        answer = checkpoint(model, temperature=temperature, seed=seed)
    else:
        answer = server(endpoint, model, temperature=temperature)
    rows, lines = ready(Path(model).name if endpoint is None else model, answer, form)
    reporting.write_answers(out, rows, lines, quantified)


COMMANDS = {"saturation": saturation, "roots": roots, "ask": ask}
