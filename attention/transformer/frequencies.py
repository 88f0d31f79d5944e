"""Frequencies of rotary positions, and the rules that change them for long texts.

The plain frequencies of the ``R`` numbers of a head that turn are ``f_i = theta^(-2i/R)``, one for
each pair (Su et al. 2021, arXiv:2104.09864).  ``ROPE_TYPES`` is the table of rules that change them
so that a model reads longer texts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attention.choices import Choices


@dataclasses.dataclass(frozen=True)
class RopeScaling:
    """How frequencies change for texts longer than those of pretraining, in Hugging Face's words.

    ``ROPE_TYPES[rope_type].settings`` names the fields that a type uses; the others keep their
    defaults.

    Attributes:
        rope_type: a key of ``ROPE_TYPES``.
        factor: how many times longer the texts are.
        low_freq_factor: llama3; wavelengths above ``original / low_freq_factor`` are stretched.
        high_freq_factor: llama3; wavelengths below ``original / high_freq_factor`` are kept.
        original_max_position_embeddings: tokens of the longest text before the change.
        attention_factor: yarn and longrope; cosines and sines are multiplied by it.  None: what
            the paper of the type proposes.
        beta_fast: yarn; a pair that turns more often than this over the original length is kept.
        beta_slow: yarn; a pair that turns less often than this is stretched.
        mscale: yarn; together with ``mscale_all_dim`` it replaces the paper's attention factor.
        mscale_all_dim: see ``mscale``.
        truncate: yarn; the two bounds are rounded outwards to whole pairs.
        short_factor: longrope; divides each frequency in texts up to the original length.
        long_factor: longrope; divides each frequency in longer texts.
        llama_4_scaling_beta: yarn; a query at position ``p`` is multiplied by
            ``1 + beta · log(1 + floor(p / original))``.

    Raises:
        InputError: an unknown type.
        ValueError: a setting that the type does not use, or an impossible value.
    """

    rope_type: str
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192
    attention_factor: float | None = None
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True
    short_factor: tuple[float, ...] = ()
    long_factor: tuple[float, ...] = ()
    llama_4_scaling_beta: float | None = None

    def __post_init__(self) -> None:
        used = ("rope_type", "factor", *ROPE_TYPES.pick(self.rope_type).settings)
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name not in used and value != field.default:
                raise ValueError(f"rope_type {self.rope_type!r} does not use {name}={value!r}")
            numbers = value if isinstance(value, tuple) else (value,)
            numeric = name not in ("rope_type", "truncate") and value != field.default
            if numeric and not all(_positive(number) for number in numbers):
                raise ValueError(f"{name} of rope_type {self.rope_type!r} is {value!r}")
        if not self.high_freq_factor > self.low_freq_factor:
            raise ValueError("high_freq_factor must be above low_freq_factor")
        if self.original_max_position_embeddings < 2:
            raise ValueError("original_max_position_embeddings must be at least 2")


def _positive(number: object) -> bool:
    if not isinstance(number, int | float) or isinstance(number, bool):
        return False
    return math.isfinite(number) and 0 < number < 2**53


@dataclasses.dataclass(frozen=True)
class Rope:
    """Rotary positions of one kind of layer, in Hugging Face's words.

    Attributes:
        rope_theta: base of the frequencies.
        rope_scaling: how frequencies change for long texts; None: not at all.
        partial_rotary_factor: share of a head that turns, from its first number on.

    Raises:
        ValueError: an impossible value.
    """

    rope_theta: float = 10000.0
    rope_scaling: RopeScaling | None = None
    partial_rotary_factor: float = 1.0

    def __post_init__(self) -> None:
        if not (_positive(self.rope_theta) and self.rope_theta > 1):
            raise ValueError(f"rope_theta is {self.rope_theta!r}; it must be above 1")
        if not (_positive(self.partial_rotary_factor) and self.partial_rotary_factor <= 1):
            share = self.partial_rotary_factor
            raise ValueError(f"partial_rotary_factor is {share!r}; it must be in (0, 1]")

    def size(self, head_dim: int) -> int:
        """How many numbers of a head of ``head_dim`` turn, R."""
        return int(head_dim * self.partial_rotary_factor)

    @property
    def rule(self) -> RopeType | None:
        """How its frequencies change; None: not at all."""
        return None if self.rope_scaling is None else ROPE_TYPES[self.rope_scaling.rope_type]

    @property
    def stretch(self) -> float:
        """How many times longer than ``max_position_embeddings`` texts may be."""
        stretches = self.rule is not None and self.rule.stretches
        return self.rope_scaling.factor if self.rope_scaling and stretches else 1.0

    @property
    def by_length(self) -> bool:
        """Whether the frequencies of a text depend on how long it is."""
        return self.rule is not None and self.rule.longer is not None

    def check(self, head_dim: int) -> None:
        """Check that the pairs fit into a head.

        Raises:
            ValueError: an odd number of a head's numbers would turn, or the factors of longrope
                are not one a pair.
        """
        size, scaling = self.size(head_dim), self.rope_scaling
        if size % 2 or not size:
            part = "" if self.partial_rotary_factor == 1 else f" times {self.partial_rotary_factor}"
            raise ValueError(f"rotary positions need an even head_dim, not {head_dim}{part}")
        if scaling is not None and scaling.rope_type == "longrope":
            counts = len(scaling.short_factor), len(scaling.long_factor)
            if counts != (size // 2, size // 2):
                raise ValueError(
                    f"short_factor and long_factor have {counts[0]} and {counts[1]} numbers for "
                    f"{size // 2} pairs"
                )


Frequencies = Float[np.ndarray, " h"]


@dataclasses.dataclass(frozen=True)
class RopeType:
    """One rule for the frequencies of long texts.

    Attributes:
        frequencies: ``(rope, scaling, R) -> [h]``, of the ``h = R/2`` pairs.
        settings: fields of ``RopeScaling`` that it uses beside ``factor``.
        longer: ``(rope, scaling, R, lengths [B, 1]) -> [B, h]``, frequencies of texts longer than
            ``original_max_position_embeddings``; None: they are the same.
        attention_factor: ``scaling ->`` what cosines and sines are multiplied by.
        stretches: whether ``max_position_embeddings`` is the length before the change, so that
            texts may be ``factor`` times longer.
    """

    frequencies: Callable[[Rope, RopeScaling, int], Frequencies]
    settings: tuple[str, ...] = ()
    longer: Callable[[Rope, RopeScaling, int, Array], Array] | None = None
    attention_factor: Callable[[RopeScaling], float] = lambda scaling: 1.0
    stretches: bool = False


def plain_frequencies(rope: Rope, scaling: RopeScaling | None, size: int) -> Frequencies:
    """``theta^(-2i/R)``."""
    del scaling
    return rope.rope_theta ** (-np.arange(0, size, 2, dtype=np.float64) / size)


def _linear(rope: Rope, scaling: RopeScaling, size: int) -> Frequencies:
    """``f / factor``: positions are interpolated (Chen et al. 2023, arXiv:2306.15595)."""
    return plain_frequencies(rope, None, size) / scaling.factor


def _llama3(rope: Rope, scaling: RopeScaling, size: int) -> Frequencies:
    """Keep short wavelengths, divide long ones by the factor, interpolate between (Llama 3.1)."""
    plain = plain_frequencies(rope, None, size)
    turns = scaling.original_max_position_embeddings * plain / (2 * np.pi)
    span = scaling.high_freq_factor - scaling.low_freq_factor
    kept = np.clip((turns - scaling.low_freq_factor) / span, 0, 1)
    return plain * ((1 - kept) / scaling.factor + kept)


def _yarn(rope: Rope, scaling: RopeScaling, size: int) -> Frequencies:
    """Keep pairs that turn often, divide others by the factor (Peng et al. 2023, arXiv:2309.00071).

    Between the pair that turns ``beta_fast`` times over the original length and the one that turns
    ``beta_slow`` times, a linear ramp over the index of the pair mixes the two.
    """

    def index(turns: float) -> float:
        wavelength = scaling.original_max_position_embeddings / turns
        return size * math.log(wavelength / (2 * math.pi)) / (2 * math.log(rope.rope_theta))

    low, high = index(scaling.beta_fast), index(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    high = high + 0.001 if high == low else high  # a step is a steep ramp
    stretched = np.clip((np.arange(size // 2) - low) / (high - low), 0, 1)
    return plain_frequencies(rope, None, size) * (1 - stretched + stretched / scaling.factor)


def _yarn_attention(scaling: RopeScaling) -> float:
    """``0.1 · log(factor) + 1``, or the quotient of two such terms with ``mscale``."""

    def term(mscale: float) -> float:
        return 1.0 if scaling.factor <= 1 else 0.1 * mscale * math.log(scaling.factor) + 1.0

    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.mscale and scaling.mscale_all_dim:
        return term(scaling.mscale) / term(scaling.mscale_all_dim)
    return term(1.0)


def _longrope(rope: Rope, scaling: RopeScaling, size: int) -> Frequencies:
    """``f_i / short_factor_i`` (Ding et al. 2024, arXiv:2402.13753)."""
    return plain_frequencies(rope, None, size) / np.array(scaling.short_factor)


def _longrope_longer(rope: Rope, scaling: RopeScaling, size: int, lengths_B1: Array) -> Array:
    """``f_i / long_factor_i``."""
    del lengths_B1
    return jnp.asarray(plain_frequencies(rope, None, size) / np.array(scaling.long_factor))[None]


def _longrope_attention(scaling: RopeScaling) -> float:
    """``sqrt(1 + log(factor) / log(original))``."""
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    length = scaling.original_max_position_embeddings
    return 1.0 if scaling.factor <= 1 else math.sqrt(1 + math.log(scaling.factor, length))


def _dynamic_longer(rope: Rope, scaling: RopeScaling, size: int, lengths_B1: Array) -> Array:
    """Plain frequencies of a theta that grows with the length of the text (NTK).

    ``theta' = theta · (factor · length / original - factor + 1)^(R / (R - 2))``
    """
    original = scaling.original_max_position_embeddings
    relative_B1 = jnp.maximum(lengths_B1, original).astype(jnp.float32) / original
    growth_B1 = scaling.factor * relative_B1 - (scaling.factor - 1)
    powers = np.arange(0, size, 2) / max(size - 2, 1)
    plain = jnp.asarray(plain_frequencies(rope, None, size), jnp.float32)[None]
    return plain * jnp.exp(-jnp.log(growth_B1) * jnp.asarray(powers, jnp.float32)[None])


_LENGTH = "original_max_position_embeddings"
ROPE_TYPES: Choices[RopeType] = Choices(
    "rope_type",
    {
        "linear": RopeType(_linear),
        "dynamic": RopeType(plain_frequencies, (_LENGTH,), _dynamic_longer, stretches=True),
        "llama3": RopeType(_llama3, ("low_freq_factor", "high_freq_factor", _LENGTH)),
        "yarn": RopeType(
            _yarn,
            (
                _LENGTH,
                "attention_factor",
                "beta_fast",
                "beta_slow",
                "mscale",
                "mscale_all_dim",
                "truncate",
                "llama_4_scaling_beta",
            ),
            attention_factor=_yarn_attention,
        ),
        "longrope": RopeType(
            _longrope,
            (_LENGTH, "attention_factor", "short_factor", "long_factor"),
            _longrope_longer,
            _longrope_attention,
        ),
    },
)
"""What ``rope_type`` can be."""


def short_frequencies(rope: Rope, size: int) -> Frequencies:
    """Frequencies of texts up to the original length, of ``size`` numbers that turn."""
    if rope.rope_scaling is None or rope.rule is None:
        return plain_frequencies(rope, None, size)
    return rope.rule.frequencies(rope, rope.rope_scaling, size)
