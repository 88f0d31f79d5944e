"""Options that several commands share, each written once; nothing here imports JAX.

A command takes :class:`Options`, which has the fields of the groups for the model, the task and the
questions; a room's function takes the group that it needs.  The docstrings are the help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from attention.command_line import Between, Commas, OneOf, Repeated, Word
from attention.errors import InputError
from attention.options import Devices, Profile, Seed, Storage
from attention.signature import check_fields
from tale_jax.tasks import ChoiceForm
from tale_jax.units import Unit, parse_unit

Layers = Annotated[tuple[Unit, ...], Commas(parse_unit, "3,5.mlp")]
"""Layers, 0-based, and halves of layers."""

Dtype = Literal["float32", "bfloat16"]
Mesh = Annotated[str, Word(metavar="data=N,model=N")]


@dataclasses.dataclass(frozen=True)
class ModelOptions(Storage, Devices):
    """How the model is loaded.

    Attributes:
        mesh: devices along each axis, such as data=4,model=2: examples are divided over dcn, data
            and fsdp, the parameters over fsdp and model; an axis left out is 1, and one may be -1,
            which takes all devices that are left
        sharding: what is divided: dp, fsdp, fsdp+tp or fsdp+tp+sp; docs/guides/pods.md says more
        dtype: type of the parameters and products
        weights: int8 holds the linear layers in 8 bits with a scale for each column, for models
            that would not fit otherwise; answers may change a little
        revision: branch, tag or commit of a model on the hub
        compilation_cache: keep compiled programs between runs, in the user's cache folder
    """

    mesh: Mesh = "data=-1"
    revision: str | None = None
    compilation_cache: bool = True


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What the task consists of.

    Attributes:
        data: folder DIR in which the task is DIR/TASK/{validation,test,train}.jsonl[.gz], in the
            official fields if it is a benchmark, which is otherwise taken from the hub
        test: JSONL file of examples to report on
        train: JSONL file of examples to draw shots from, and to train on
        holdout: share of the task's file that becomes the test split
        limit: use the first so many examples of each split
        draw: search on so many examples, drawn with the seed, in place of the first ones
        choices: what the choices of a benchmark are: the letters of its options, or the options
            themselves as lm-eval asks them; by default what is usual for the benchmark
        shots: answered examples before every prompt, from the train split if there is one
        seed: draws the shots and everything else that is random
    """

    data: Path | None = None
    test: Path | None = None
    train: Path | None = None
    holdout: Annotated[float, Between(gt=0, lt=1)] | None = None
    limit: Annotated[int, Between(ge=1)] | None = None
    draw: Annotated[int, Between(ge=1)] | None = None
    choices: ChoiceForm | None = None
    shots: Annotated[int, Between(ge=0)] = 0
    seed: Seed = 0


@dataclasses.dataclass(frozen=True)
class AskingOptions:
    """How the model is asked.

    Attributes:
        protocol: auto compares the log-probabilities of the choices where there are choices, and
            lets the model write where there are none; loglikelihood, loglikelihood-norm (per
            character), loglikelihood-bytes (per byte), loglikelihood-unconditional (beyond what a
            choice has without its prompt) and decode (write) always do so
        template: auto puts benchmarks through the tokenizer's chat template if it has one, and
            leaves other tasks plain text; chat puts any task through it; none is plain text; or a
            jinja2 FILE of your own
        template_variables: variables of the template, such as enable_thinking=false
        template_date: the day, as 2026-01-02, that a template is told if it writes the date; by
            default today, and in a run the day on which it began
        max_new_tokens: tokens to write, if the model writes its answers; by default the task's
            number, or two more than the longest answer has
        batch_tokens: tokens in a batch; halved if memory runs out
        cache_gib: GiB of states between layers that are kept on each device, at most half of what
            is free there beside the model; the rest is computed again
    """

    protocol: Annotated[str, OneOf("tale_jax.scoring:PROTOCOLS")] = "auto"
    template: Annotated[str, Word(metavar="auto|chat|none|FILE")] = "auto"
    template_variables: Annotated[tuple[str, ...], Repeated(metavar="NAME=VALUE,...")] = ()
    template_date: Annotated[str | None, Word(metavar="DATE")] = None
    max_new_tokens: Annotated[int, Between(ge=1)] | None = None
    batch_tokens: Annotated[int, Between(ge=1)] = 4096
    cache_gib: Annotated[float, Between(ge=0, le=2**20)] = 4.0


@dataclasses.dataclass(frozen=True)
class Options(AskingOptions, TaskOptions, ModelOptions):
    """How a model is loaded, what a task consists of, and how the model is asked."""

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values, for the files of a run."""
        values = dataclasses.asdict(self)
        return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Options:
        """The options that :meth:`as_json` made values of.

        Raises:
            InputError: an option is missing or unknown, or its value is not allowed.
        """
        try:
            given = {name: values[name] for name in ("data", "test", "train")}
            paths = {name: Path(value) for name, value in given.items() if value is not None}
            variables = tuple(values["template_variables"])
            found = cls(**{**values, **paths, "template_variables": variables})
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"these are no options: {error}") from None
        check_fields(found)
        return found


@dataclasses.dataclass(frozen=True)
class Reopening:
    """How the model and the task of a finished search are opened again.

    Attributes:
        model: where the searched checkpoint is now, if it moved
        limit: use the first so many examples of each split
        mesh: devices along each axis, such as data=4,model=2; one may be -1, which takes all
            devices that are left
        sharding: what is divided: dp, fsdp, fsdp+tp, fsdp+tp+sp or fsdp+cp
        compilation_cache: keep compiled programs between runs, in the user's cache folder
    """

    model: str | None = None
    limit: Annotated[int, Between(ge=1)] | None = None
    mesh: Mesh = "data=-1"
    sharding: Annotated[str, OneOf("attention.meshes:SHARDINGS")] = "fsdp+tp"
    compilation_cache: bool = True

    @property
    def options(self) -> Options:
        """The fields that are options of a search too."""
        names = ("limit", "mesh", "sharding", "compilation_cache")
        return Options(**{name: getattr(self, name) for name in names})


@dataclasses.dataclass(frozen=True)
class DamageOptions:
    """What else is measured of the picks.

    Attributes:
        damage_text: UTF-8 text whose perplexity is measured; by default a page of plain English
        untouched: tasks that the picks are scored on besides, of which no layer is chosen by any
    """

    damage_text: Path | None = None
    untouched: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = ()

    def check(self, tasks: tuple[str, ...]) -> None:
        """Refuse tasks that are searched.

        Raises:
            InputError: one of the untouched tasks is.
        """
        if both := set(self.untouched) & set(tasks):
            raise InputError(f"{min(both)} is searched: it cannot be an untouched task too")


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is looked at: a finished search, or a model and a task.

    Attributes:
        model: local folder, hub id, or "demo"; by default that of the run
        task: JSONL file, or a name that "tale tasks" lists; by default that of the run
        run: directory of a finished search
        pick: which model of the run; best: the most accurate; bsba: the shortest with at least
            baseline accuracy
        drop: layers to leave out, 0-based, or halves such as 3.mlp, in place of a run
    """

    model: str | None = None
    task: str | None = None
    run: Path | None = None
    pick: Literal["best", "bsba"] = "best"
    drop: Layers = ()


@dataclasses.dataclass(frozen=True)
class Workload:
    """Greedy writing without a stop, behind prompts of random tokens.

    Attributes:
        prompt_length: tokens of each prompt
        new_tokens: tokens to write
        rounds: rounds that count; medians over them are told
        warmup: rounds before them
    """

    prompt_length: Annotated[int, Between(ge=1)] = 128
    new_tokens: Annotated[int, Between(ge=2)] = 32
    rounds: Annotated[int, Between(ge=1)] = 7
    warmup: Annotated[int, Between(ge=0)] = 2


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How the model is trained.

    Attributes:
        lora_rank: rank of the matrices that are learnt
        lora_alpha: their product counts alpha / rank times
        lora_dropout: share of the input features of each that a step leaves out
        full: train all parameters instead
        learning_rate: at its peak
        schedule: of optax, by name and parameters, such as cosine_decay_schedule:alpha=0.1
        epochs: passes over the train split
        steps: updates, in place of epochs
        batch_size: examples an update
        weight_decay: of AdamW, on matrices alone
        clip: largest norm of a gradient
        save_every: updates between checkpoints
        remat: what a layer keeps for the backward pass: none recomputes nothing, full keeps the
            states between layers alone, dots the results of projections too, offload those in the
            memory of the host
        profile: steps to trace with jax.profiler, into training/profile
    """

    lora_rank: Annotated[int, Between(ge=1)] = 64
    lora_alpha: Annotated[float, Between(gt=0)] = 16.0
    lora_dropout: Annotated[float, Between(ge=0, lt=1)] = 0.1
    full: bool = False
    learning_rate: Annotated[float, Between(gt=0)] = 2e-4
    schedule: str = "warmup_cosine_decay_schedule"
    epochs: Annotated[float, Between(gt=0)] = 3.0
    steps: Annotated[int, Between(ge=1)] | None = None
    batch_size: Annotated[int, Between(ge=1)] = 4
    weight_decay: Annotated[float, Between(ge=0)] = 0.001
    clip: Annotated[float, Between(gt=0)] = 1.0
    save_every: Annotated[int, Between(ge=1)] = 200
    remat: Literal["none", "full", "dots", "offload"] = "none"
    profile: Profile = None


RENAMED = {"model-parallel": "--mesh data=-1,model=N"}
"""Flags of before that every command with these groups had, and what to write now."""
