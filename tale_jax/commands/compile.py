"""``tale compile``: what a search costs on machines that are not here."""

from __future__ import annotations

from typing import Annotated

from attention import compilation, meshes
from attention.command_line import OneOf, Result, Word, command
from attention.errors import InputError
from attention.options import Count, parse_mesh
from tale_jax import scoring
from tale_jax.options import Dtype


@command
def compile(
    model: str,
    target: Annotated[str, Word(metavar="KIND-CHIPS")],
    *,
    mesh: Annotated[str, Word(metavar="data=N,model=N")] = "model=-1",
    sharding: Annotated[str, OneOf("attention.meshes:SHARDINGS")] = "fsdp+tp",
    batch_tokens: Count = 4096,
    length: Count = 256,
    targets: Count = 1,
    dtype: Dtype = "bfloat16",
) -> Result:
    """Compile a batch of a search for a target without its chips, and say whether it fits.

    The batch is scored by the whole model, which is the most expensive candidate.  Nothing is run:
    times are a roofline by the makers' numbers.

    Args:
        model: folder with config.json (no weights are read), or a name such as llama-3.1-8b
        target: kind of chip and number of chips, such as v5e-16
        mesh: devices along each axis; by default all chips along model
        sharding: what is divided over the mesh: dp, fsdp, fsdp+tp, fsdp+tp+sp or fsdp+cp
        batch_tokens: tokens in a batch on each device that rows are divided over
        length: tokens of a row
        targets: tokens of a row whose probability is asked
        dtype: of parameters and products

    Raises:
        InputError: no such target or model, the compiler is missing, or the batch does not fit.
    """
    compilation.prepare()
    asked = compilation.find_target(target)
    config = compilation.read_config(model)
    devices = asked.devices()
    chosen = meshes.make_mesh(**parse_mesh(mesh), devices=devices)
    placement = meshes.Placement(chosen, meshes.SHARDINGS.pick(sharding).rules)
    rows = max(1, batch_tokens // length) * meshes.mesh_parts(placement, "batch")
    step = scoring.search_step(config, placement, rows, length, targets=targets, dtype=dtype)
    report = compilation.compile_step(step.laid_out(mesh=mesh, sharding=sharding), asked)
    if not report.fits:
        raise InputError(report.verdict)
    return Result(report.as_record(), report.as_text())
