"""The collectives of a compiled program: how many, of what kind, how large, and what hides them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_SIZES = {"f64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "s64": 8, "u64": 8}
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+)[ (].*\{\s*$")
_LINE = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (.*?) ([\w\-]+)\((.*)$")
_CALLED = re.compile(r"(?:body|to_apply|calls|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CHANNEL = re.compile(r"channel_id=(\d+)")
_CONDITION = re.compile(r"condition=%?([\w.\-]+)")
_NUMBER = re.compile(r"(\d+)\)")
_COMPUTE = ("fusion", "dot", "convolution", "custom-call", "while")

Operation = tuple[str, str, str, str]  # name, shape, operation, and what follows
Computations = dict[str, list[Operation]]


@dataclasses.dataclass(frozen=True)
class Collective:
    """A collective of a program.

    Attributes:
        kind: one of ``KINDS``.
        bytes: of the whole arrays, on one device: what is gathered, summed or sent.
        devices: how many take part.
        times: how often it runs.
        hidden: whether compute is scheduled between its start and its end.
    """

    kind: str
    bytes: int
    devices: int
    times: int
    hidden: bool

    def seconds(self, link: float) -> float:
        """Time of all its runs, by the ring along one axis of the network.

            all-gather, reduce-scatter   V (n − 1) / n / link
            all-reduce                   twice that
            all-to-all                   a quarter of it
            collective-permute           V / (link / 2)

        Args:
            link: bytes a second along one axis, both directions together.
        """
        share = (self.devices - 1) / self.devices
        factors = {"all-reduce": 2 * share, "all-to-all": share / 4, "collective-permute": 2.0}
        return self.times * self.bytes * factors.get(self.kind, share) / link


def find_collectives(text: str) -> list[Collective]:
    """Find the collectives of a compiled program, those in loops with their trips.

    Args:
        text: of the optimized program, in the order of its schedule (``compiled.as_text()``).
    """
    computations, entry = _computations(text)
    found: list[Collective] = []

    def visit(name: str, times: int) -> None:
        lines = computations.get(name, [])
        found.extend(_fused(computations, lines, times))
        for i, (own, shape, operation, rest) in enumerate(lines):
            kind = operation.removesuffix("-start")
            if kind in KINDS:
                hidden = operation.endswith("-start") and _hidden(lines[i + 1 :], own, kind)
                both = operation in ("all-gather-start", "reduce-scatter-start")
                found.append(_collective(kind, shape, rest, times, hidden, both))
            elif operation in ("while", "call", "conditional"):
                called = _CALLED.findall(rest)
                for branches in _BRANCHES.findall(rest):
                    called += [each.strip().lstrip("%") for each in branches.split(",")]
                for each in called:
                    visit(each, times * _trips(computations, rest))

    visit(entry, 1)
    return [each for each in found if each.devices != 1]


def _collective(
    kind: str, shape: str, rest: str, times: int, hidden: bool, both: bool = False
) -> Collective:
    """A collective by what its line says; ``both``: the shape has what it reads and what it makes.

    Several arrays may move together.
    """
    devices = _devices(rest)
    size = sum(_each_size(shape))
    if both:  # of which one is a part of the other, for each device
        size = size * devices // (devices + 1)
    elif kind == "reduce-scatter":  # the result is a part of what is summed
        size *= devices
    elif kind == "collective-permute":
        size = _bytes(shape)
    return Collective(kind, max(size, _bytes(rest)), devices, times, hidden)


def _fused(computations: Computations, lines: list[Operation], times: int) -> list[Collective]:
    """Collectives inside of fusions: on TPUs one is a chain of several, with compute in them.

    The parts of a chain have one channel.  It is hidden if compute is in a part, or between two.
    """
    chains: dict[str, list[tuple[int, str, Operation]]] = {}
    for i, (_, _, operation, rest) in enumerate(lines):
        if operation in ("fusion", "async-start"):
            for name in _CALLED.findall(rest):
                for inner in computations.get(name, []):
                    if inner[2] in KINDS:
                        channel = _CHANNEL.search(inner[3])
                        chains.setdefault(channel[1] if channel else inner[0], []).append(
                            (i, name, inner)
                        )
    found = []
    for parts in chains.values():
        places = {i for i, _, _ in parts}
        between = range(min(places), max(places))
        hidden = any(name.startswith("async_collective_fusion") for _, name, _ in parts) or any(
            lines[i][2] in _COMPUTE for i in between if i not in places
        )
        _, name, (_, shape, kind, rest) = parts[0]
        one = _collective(kind, shape, rest, times, hidden)
        if name.startswith("all-reduce-scatter"):  # each device keeps its part of the sum
            one = dataclasses.replace(one, kind="reduce-scatter")
        found.append(one)
    return found


def _trips(computations: Computations, rest: str) -> int:
    """How often a loop runs: as the compiler notes it, or as its condition compares."""
    if noted := _TRIPS.search(rest):
        return int(noted[1])
    if (condition := _CONDITION.search(rest)) is None:
        return 1
    lines = computations.get(condition[1], [])
    ends = [
        int(number[1])
        for _, _, op, rest in lines
        if op == "constant" and (number := _NUMBER.match(rest))
    ]
    return max(ends, default=1)


def _computations(text: str) -> tuple[Computations, str]:
    """The operations of each computation, in order, and the name of the first one to run."""
    computations: Computations = {}
    current, entry = "", ""
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            current = head[2]
            computations[current] = []
            entry = current if head[1] else entry
        elif current and (match := _LINE.match(line)):
            computations[current].append((match[1], match[2], match[3], match[4]))
    return computations, entry


def _hidden(later: list[Operation], own: str, kind: str) -> bool:
    """Whether compute stands between a start and its end."""
    for _, _, operation, rest in later:
        if operation == f"{kind}-done" and re.search(rf"%?{re.escape(own)}\b", rest):
            return False
        if operation in _COMPUTE:
            return True
    return False


def _bytes(text: str) -> int:
    """Bytes of the largest array whose shape stands in a text."""
    return max(_each_size(text), default=0)


def _each_size(text: str) -> Iterator[int]:
    for dtype, dims in re.findall(r"\b(pred|[a-z]+\d+)\[([\d,]*)\]", text):
        yield math.prod(int(n) for n in dims.split(",") if n) * _SIZES.get(dtype, 1)


def _devices(rest: str) -> int:
    """How many devices take part in one group."""
    if found := re.search(r"replica_groups=\[(\d+),(\d+)\]", rest):
        return int(found[2])
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\] ?\{([^}]*)\}", rest):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", found[1]))
        parts = re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", found[2])
        return math.prod(int(part or sizes[name]) for name, part in parts)
    if found := re.search(r"replica_groups=\{\{([\d,]*)\}", rest):
        return len(found[1].split(","))
    return 2
