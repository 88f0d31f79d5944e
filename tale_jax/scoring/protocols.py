"""How a model is asked: the table of protocols.  Nothing here imports JAX."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attention.choices import Choices, resolve
from attention.errors import InputError
from tale_jax.tasks import Answer, Example, Task, Tokenizer

if TYPE_CHECKING:
    import jax
    import numpy as np

    from attention.likelihood import Arrays, Row
    from attention.transformer import Cache, TransformerConfig


NAN = "the model's logits are NaN; try another dtype or another model"


class NotFiniteError(InputError):
    """The model's logits are not numbers."""


class Asker(typing.Protocol):
    """A protocol with its model and task: examples → rows → what the device makes → answers.

    A protocol that writes has ``write``, any other has ``read``.  Both run on the device, within a
    jit, and return a tree of arrays ``[R, …]``, one entry a row.  A class of your own inherits from
    this one, or from one that does.

    Attributes:
        name: of the protocol.
        writes: whether the model writes; if not, the probabilities of its choices are read.
        new_tokens: positions that it takes beyond those of a row's tokens.
        notes: lines to tell the user, once the rows have been made.
    """

    name: str
    writes: bool
    new_tokens: int

    @property
    def notes(self) -> Sequence[str]:
        return ()

    @property
    def traced(self) -> Hashable | None:
        """All that ``read`` or ``write`` depends on beside the config and its arguments.

        Programs of two searches are one where this is equal; None: they are compiled anew.
        """
        return None

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        """The row of each example."""
        ...

    def read(self, params: Mapping[str, Any], states_BUD: jax.Array, arrays: Arrays) -> Any:
        """What is read of a batch, from the states of ``arrays.places`` behind the last layer."""

    def write(
        self, params: Mapping[str, Any], keep: jax.Array, logits_B1V: jax.Array, cache: Cache
    ) -> Any:
        """What the model without some halves of its layers writes behind each row of a batch.

        Args:
            params: stacked.
            keep: ``[L, 2]``, the halves of layers that run.
            logits_B1V: of the last token of each row.
            cache: of the rows, with :attr:`new_tokens` free slots.
        """

    def answers(self, examples: Sequence[Example], outputs: Any) -> list[Answer]:
        """The verdict on each example; ``outputs`` are those of its row, on the host."""
        ...

    def readings(self, examples: Sequence[Example], outputs: Any) -> Mapping[str, list[Answer]]:
        """The answers by other protocols that the same outputs give, by their names."""
        return {}

    def difficulty(self, examples: Sequence[Example], outputs: Any) -> np.ndarray:
        """A number an example, ``[E]``, higher where a model is likelier to be wrong."""
        ...

    def finite(self, outputs: Any) -> bool:
        """Whether the model's logits are numbers."""
        ...


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A way to ask a model.

    Attributes:
        description: of how it asks.
        make: ``make(name, config, tokenizer, task, new_tokens, **settings)`` → :class:`Asker`, or
            where it stands (``"package.module:name"``).  ``new_tokens`` is what the user asked for.
        writes: whether the model writes; if not, the choices of an example are compared, which the
            task must have.  None: the first protocol that does as the task wants.
        settings: further arguments of ``make``.
    """

    description: str
    make: Callable[..., Asker] | str = ""
    writes: bool | None = False
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _comparing(description: str, score: str, **settings: Any) -> Protocol:
    """The row of a score of choices, which is a function of ``choosing``."""
    make, score = (f"tale_jax.scoring.choosing:{name}" for name in ("Loglikelihood", score))
    return Protocol(description, make, settings={"score": score, **settings})


PROTOCOLS = Choices(
    "protocol",
    {
        "auto": Protocol(
            "loglikelihood, or decode where there are no choices or the task wants it", writes=None
        ),
        "loglikelihood": _comparing("the most probable choice", "total"),
        "loglikelihood-norm": _comparing("the most probable choice per character", "per_character"),
        "loglikelihood-bytes": _comparing("the most probable choice per byte", "per_byte"),
        "loglikelihood-unconditional": _comparing(
            "the choice whose probability the prompt raises most", "beyond_prior", prior=True
        ),
        "decode": Protocol(
            "the answer is read off what the model writes",
            "tale_jax.scoring.writing:Decode",
            writes=True,
        ),
    },
    own=lambda make: Protocol("of your own", make, writes=getattr(make, "writes", False)),
)


def make_asker(
    name: str, config: TransformerConfig, tokenizer: Tokenizer, task: Task, new_tokens: int | None
) -> Asker:
    """The protocol called ``name``, for a model and a task.

    Args:
        name: a key of :data:`PROTOCOLS`.
        config: of the model.
        tokenizer: of the model.
        task: whose examples are asked.
        new_tokens: tokens to write; None: as many as the task's answers take.

    Raises:
        InputError: an unknown name, a protocol that compares choices for a task without any, or a
            number of new tokens below 1.
    """
    if new_tokens is not None and new_tokens < 1:
        raise InputError(f"the number of new tokens must be at least 1, not {new_tokens}")
    row = PROTOCOLS.pick(name)
    if row.writes is None:  # a task may want written answers in spite of choices
        wanted = task.generated or task.written
        name, row = next(item for item in PROTOCOLS.items() if item[1].writes == wanted)
    if task.generated and not row.writes:
        writing = " or ".join(other for other, row in PROTOCOLS.items() if row.writes)
        raise InputError(f"{task.name} has no choices to compare; use the protocol {writing}")
    return resolve(row.make)(name, config, tokenizer, task, new_tokens, **row.settings)
