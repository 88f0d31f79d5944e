"""``attn compile``: what a step costs on machines that are not here."""

from __future__ import annotations

from typing import Annotated, Literal

from attention import compilation, meshes
from attention.command_line import OneOf, Result, Word, command
from attention.errors import InputError
from attention.options import Count, Display, parse_mesh


@command
def compile(
    model: str,
    target: Annotated[str, Word(metavar="KIND-CHIPS")],
    *,
    step: Literal["train", "decode", "kernel"] = "train",
    mesh: Annotated[str, Word(metavar="data=N,fsdp=N,model=N")] = "",
    sharding: Annotated[str | None, OneOf("attention.meshes:SHARDINGS")] = None,
    batch: Count | None = None,
    length: Count | None = None,
    remat: Literal["none", "full", "dots", "offload"] = "full",
    attention: Literal["pallas", "chunked", "xla"] | None = None,
    dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16",
    display: Display = Display(),
) -> Result:
    """Compile a step for a target without its chips, and say whether it fits and what limits it.

    Nothing is run: times are a roofline by the makers' numbers.  The exit code is 0 if the step
    fits, and otherwise 2, with the bytes that are missing.

    Args:
        model: folder with config.json (no weights are read), or a model that docs/guides/pods.md
            lists, such as llama-3.1-8b
        target: kind of chip and number of chips: v5e-256, v5p-64, v6e-8
        step: train: AdamW with float32 parameters; decode: one token behind a cache; kernel: the
            fused attention, forward and backward
        mesh: devices along each axis; by default fsdp and data as the model's size asks for
            (train), or all chips along model (decode)
        sharding: what is divided over the mesh: dp, fsdp, fsdp+tp, fsdp+tp+sp or fsdp+cp
        batch: rows; by default one on each device that rows are divided over
        length: tokens of a row, or of the cache; by default 2048 on v5e, and 4096 elsewhere
        remat: what a layer keeps for the backward pass: none recomputes nothing
        attention: implementation; by default pallas if it has the normalizer
        dtype: of the kernel's arrays

    Raises:
        InputError: no such target or model, the compiler is missing, or the step does not fit.
    """
    compilation.prepare()
    asked = compilation.find_target(target)
    config = compilation.read_config(model)
    if dtype == "float16" and asked.chip.platform == "tpu":
        raise InputError("TPUs have no float16 kernels: take --dtype bfloat16")
    devices = asked.devices()
    usual_mesh = compilation.training_mesh(config, asked) if step == "train" else "model=-1"
    axes = parse_mesh(mesh or usual_mesh)
    usual = "fsdp" if step == "train" and axes["model"] == 1 else "fsdp+tp"
    rules = meshes.SHARDINGS.pick(sharding or usual).rules
    placement = meshes.Placement(meshes.make_mesh(**axes, devices=devices), rules)
    rows = batch or meshes.mesh_parts(placement, "batch")
    tokens = length or (2048 if asked.kind == "v5e" else 4096)
    if attention is not None or step == "train":
        config = compilation.with_attention(config, attention)
    if step == "train":
        made = compilation.training_step(config, placement, rows, tokens, remat=remat)
    elif step == "decode":
        made = compilation.decoding_step(config, placement, rows, tokens)
    else:
        made = compilation.kernel_step(config, placement, rows, tokens, dtype=dtype)
    laid = {name: size for name, size in placement.mesh.shape.items() if size > 1}
    made = made.laid_out(mesh=",".join(f"{n}={s}" for n, s in laid.items()) or "data=1",
                         sharding=sharding or usual)  # fmt: skip
    report = compilation.compile_step(made, asked)
    if not report.fits:
        raise InputError(report.verdict)
    del display
    return Result(report.as_record(), report.as_text())
