"""Compiling a step ahead of time, and what the compiler and a roofline say of it."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from attention.compilation.collectives import KINDS, Collective, find_collectives
from attention.compilation.flops import count_flops
from attention.compilation.ptx import Kernel, find_kernels
from attention.compilation.targets import GIB, Target
from attention.errors import is_out_of_memory
from attention.files import Record

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# "Used 252.00G of 15.75G hbm", or of temporaries alone "(18.37G) exceeds available HBM (15.75G)"
_EXCEEDED = re.compile(r"(?:[Uu]sed |\()([\d.]+)([KMGT]?)i?B?(?: of |\) exceeds )")


@dataclasses.dataclass(frozen=True)
class Step:
    """Something to compile.

    Attributes:
        name: such as ``train``.
        function: a jitted function.
        arguments: its arguments: ``ShapeDtypeStruct`` with shardings on the devices of a target.
        layout: how it is laid out, in words, for the report.
        model_flops: operations that the step needs at least, over all devices.
    """

    name: str
    function: Any
    arguments: tuple[Any, ...]
    layout: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model_flops: float = 0.0

    def laid_out(self, **layout: Any) -> Step:
        """The same step with more words about its layout, which come first."""
        return dataclasses.replace(self, layout={**layout, **self.layout})


@dataclasses.dataclass(frozen=True)
class Report:
    """What a step costs on a target.

    Attributes:
        target: the chips.
        step: its name.
        layout: how it is laid out.
        memory: bytes on one device: ``arguments``, ``outputs`` that are not arguments,
            ``temporaries``, ``program``, ``total``, ``available`` and ``missing``.
        flops: operations over all devices; 0 where it did not compile.
        model_flops: those that it needs at least.
        collectives: of one step on one device.
        kernels: of attention, on CUDA.
    """

    target: Target
    step: str
    layout: Mapping[str, Any]
    memory: Mapping[str, int]
    flops: float = 0.0
    model_flops: float = 0.0
    collectives: tuple[Collective, ...] = ()
    kernels: tuple[Kernel, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the memory of a chip holds it."""
        return not self.memory["missing"]

    def roofline(self) -> dict[str, float]:
        """Seconds of a step by the maker's numbers; none of them is measured.

            serial      = compute + memory + collectives
            overlapped  = max(compute, memory, hidden collectives) + other collectives

        ``memory`` moves each argument, output and temporary once: a lower bound.
        """
        chip, memory = self.target.chip, self.memory
        compute = self.flops / self.target.count / chip.flops
        moved = memory["arguments"] + memory["outputs"] + 2 * memory["temporaries"]
        reading = moved / chip.bandwidth
        hidden = sum(c.seconds(chip.link) for c in self.collectives if c.hidden)
        shown = sum(c.seconds(chip.link) for c in self.collectives if not c.hidden)
        overlapped = max(compute, reading, hidden) + shown
        useful = self.model_flops / self.target.count / chip.flops
        return {
            "compute": compute,
            "memory": reading,
            "collectives": hidden + shown,
            "exposed_collectives": shown,
            "serial": compute + reading + hidden + shown,
            "overlapped": overlapped,
            "mfu_serial": useful / (compute + reading + hidden + shown or 1),
            "mfu": useful / (overlapped or 1),
        }

    @property
    def limit(self) -> str:
        """The term that takes longest."""
        terms = self.roofline()
        return max(("compute", "memory", "collectives"), key=terms.__getitem__)

    @property
    def verdict(self) -> str:
        """One line for a step that does not fit."""
        total, available = (self.memory[name] / GIB for name in ("total", "available"))
        laid = ", ".join(f"{name} {value}" for name, value in self.layout.items())
        return (
            f"{self.step} ({laid}) does not fit {self.target.name}: it takes {total:.2f} GiB of "
            f"{available:.2f}, so that {self.memory['missing']} bytes are missing; "
            "take more chips, fewer rows or another --mesh, --sharding or --remat"
        )

    def by_kind(self) -> list[Record]:
        """The collectives of each kind together: their number, bytes and seconds."""
        found = []
        for kind in KINDS:
            if own := [c for c in self.collectives if c.kind == kind]:
                row = {"kind": kind, "count": sum(c.times for c in own)}
                row |= {"bytes": sum(c.times * c.bytes for c in own)}
                row |= {"seconds": sum(c.seconds(self.target.chip.link) for c in own)}
                row |= {"hidden": sum(c.times for c in own if c.hidden)}
                found.append(row)
        return found

    def as_record(self) -> Record:
        """All of it as JSON values."""
        return {
            "target": self.target.name, "chips": self.target.count, "step": self.step,
            "layout": dict(self.layout), "fits": self.fits, "memory": dict(self.memory),
            "flops": self.flops, "model_flops": self.model_flops, "collectives": self.by_kind(),
            "roofline": self.roofline(), "limit": self.limit,
            "kernels": [dataclasses.asdict(kernel) for kernel in self.kernels],
        }  # fmt: skip

    def as_text(self) -> str:
        """All of it in lines."""
        memory = {name: f"{size / GIB:.2f}" for name, size in self.memory.items()}
        laid = ", ".join(f"{name} {value}" for name, value in self.layout.items())
        lines = [
            f"{self.step} on {self.target.name} ({self.target.count} chips): {laid}",
            f"memory of a chip, GiB: {memory['total']} of {memory['available']} (arguments "
            f"{memory['arguments']}, outputs {memory['outputs']}, temporaries "
            f"{memory['temporaries']}, program {memory['program']})",
        ]
        lines += [
            f"{row['kind']}: {row['count']} ({row['hidden']} behind compute), "
            f"{row['bytes'] / 1e9:.3g} GB, {1e3 * row['seconds']:.3g} ms"
            for row in self.by_kind()
        ]
        terms = self.roofline()
        times = {name: f"{1e3 * value:.3g}" for name, value in terms.items()}
        lines += [
            f"operations: {self.flops:.4g}, needed at least: {self.model_flops:.4g}",
            f"a step, ms: {times['serial']} serial, {times['overlapped']} overlapped (compute "
            f"{times['compute']}, memory {times['memory']}, collectives {times['collectives']}); "
            f"limited by {self.limit}",
        ]
        if self.model_flops:
            lines.append(f"MFU: at most {terms['mfu']:.0%}, and {terms['mfu_serial']:.0%} serial")
        for each in self.kernels:
            waits = "; its products wait for each other" if each.serial else ""
            lines.append(
                f"{each.name}: {each.registers or '?'} registers, {each.spilled} bytes spilled, "
                f"{each.instructions} instructions{waits}"
            )
        return "\n".join(lines)


def compile_step(step: Step, target: Target) -> Report:
    """Compile a step for a target, and say what it costs there.

    Args:
        step: its arguments lie on ``target.devices()``.
        target: the chips.

    Returns:
        The report, also where the memory does not suffice.
    """
    traced = step.function.trace(*step.arguments)
    flops = count_flops(traced.jaxpr)
    lowered = traced.lower(lowering_platforms=(target.chip.platform,))
    about = (target, step.name, step.layout)
    with tempfile.TemporaryDirectory(prefix="program-") as dump:
        try:
            compiled = lowered.compile({**target.chip.options, "xla_dump_to": dump})
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return Report(*about, _refused(str(error), target), flops, step.model_flops)
        text, kernels = _text(compiled, Path(dump)), find_kernels(Path(dump))
    held = compiled.memory_analysis()
    memory = {
        "arguments": held.argument_size_in_bytes,
        "outputs": held.output_size_in_bytes - held.alias_size_in_bytes,
        "temporaries": held.temp_size_in_bytes,
        "program": held.generated_code_size_in_bytes,
    }
    memory = _against(memory, sum(memory.values()), target)
    collectives = tuple(find_collectives(text))
    return Report(*about, memory, flops, step.model_flops, collectives, kernels)


def _text(compiled: Any, dump: Path) -> str:
    """The compiled program, in the order of its schedule.

    Where the compiler dumps it (TPUs), its own text is taken: JAX does not read every program back
    (those of libtpu 0.0.52 for v5p, which move collectives by ``async-update``).
    """
    files = [file for file in dump.glob("*after_codegen.txt") if file.stat().st_size]
    if not files:
        return compiled.as_text()
    return max(files, key=lambda file: file.stat().st_size).read_text()


def _against(memory: Mapping[str, int], total: int, target: Target) -> dict[str, int]:
    available = int(target.chip.memory)
    found = {"total": total, "available": available, "missing": max(0, total - available)}
    return {**memory, **found}


def _refused(message: str, target: Target) -> dict[str, int]:
    """What a compiler says that ran out of memory."""
    parts = ("arguments", "outputs", "temporaries", "program")
    unknown: dict[str, int] = {part: 0 for part in parts}  # noqa: C420
    if (found := _EXCEEDED.search(message)) is None:
        return _against(unknown, int(target.chip.memory) + 1, target)
    used = int(float(found[1]) * _UNITS[found[2]])
    return _against(unknown | {"temporaries": used}, max(used, int(target.chip.memory) + 1), target)
