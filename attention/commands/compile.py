"""``attn compile``: what a step costs on machines that are not here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Literal

from attention import compilation
from attention.command_line import OneOf, Result, Word, command
from attention.errors import InputError
from attention.language import pretraining
from attention.options import Count, Display

if TYPE_CHECKING:
    from attention.transformer import TransformerConfig


def model_config(model: str, normalizer: str | None = None) -> TransformerConfig:
    """The config of a model: of a recipe of ``attn pretrain``, of a folder, or a well-known one.

    Args:
        model: its name or folder.
        normalizer: in place of its own.

    Raises:
        InputError: there is no such model or normalizer.
    """
    if model in pretraining.RECIPES:
        return pretraining.recipe_config(model, normalizer)
    config = compilation.read_config(model)
    return config if normalizer is None else dataclasses.replace(config, normalizer=normalizer)


@command
def compile(
    model: str,
    target: Annotated[str, Word(metavar="KIND-CHIPS")],
    *,
    normalizer: Annotated[str | None, OneOf("attention.normalizers:NORMALIZERS")] = None,
    step: Literal["train", "decode", "kernel"] = "train",
    mesh: Annotated[str, Word(metavar="data=N,fsdp=N,model=N")] = "",
    sharding: Annotated[str | None, OneOf("attention.meshes:SHARDINGS")] = None,
    batch: Count | None = None,
    length: Count | None = None,
    remat: Literal["none", "full", "dots", "offload"] | None = None,
    attention: Literal["pallas", "chunked", "xla"] | None = None,
    dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16",
    display: Display = Display(),
) -> Result:
    """Compile a step for a target without its chips, and say whether it fits and what limits it.

    Nothing is run: times are a roofline by the makers' numbers.  The exit code is 0 if the step
    fits, and otherwise 2, with the bytes that are missing.

    Args:
        model: folder with config.json (no weights are read), a recipe of "attn pretrain", or a
            model that docs/guides/pods.md lists, such as llama-3.1-8b
        target: kind of chip and number of chips: v5e-256, v5p-64, v6e-8
        normalizer: of its attention, in place of its own
        step: train: AdamW with float32 parameters; decode: one token behind a cache; kernel: the
            fused attention, forward and backward
        mesh: devices along each axis; by default fsdp and data as the model's size asks for
            (train), or all chips along model (decode)
        sharding: what is divided over the mesh: dp, fsdp, fsdp+tp, fsdp+tp+sp or fsdp+cp
        batch: rows; by default one on each device that rows are divided over
        length: tokens of a row, or of the cache; by default 2048 on v5e, and 4096 elsewhere
        remat: what a layer keeps for the backward pass: none recomputes nothing; by default as
            much as fits: none, dots or full
        attention: implementation; by default pallas if it has the normalizer
        dtype: of the arithmetic; the roofline counts at the rate of bfloat16

    Raises:
        InputError: no such target or model, the compiler is missing, or the step does not fit.
    """
    compilation.prepare()
    asked = compilation.find_target(target)
    config = model_config(model, normalizer)
    report = compilation.compile_fitting(
        asked, asked.devices(), config, step=step, mesh=mesh, sharding=sharding, batch=batch,
        length=length, remat=remat, attention=attention, dtype=dtype,
    )  # fmt: skip
    if not report.fits:
        raise InputError(report.verdict)
    del display
    return Result(report.as_record(), report.as_text())
