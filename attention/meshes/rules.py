"""Which mesh axes each logical axis is split over: one table for parameters and activations."""

from __future__ import annotations

import dataclasses

from attention.choices import Choices

MeshAxes = str | tuple[str, ...] | None
ROWS = ("dcn", "data", "fsdp")
"""The mesh axes that examples are always divided over."""


@dataclasses.dataclass(frozen=True)
class LogicalRules:
    """The mesh axes that each logical axis is split over; None keeps it whole on every device.

    An array of a step has *logical* axes, such as ``embed`` and ``heads``.  The optimizer's arrays
    and caches have those of the parameters and keys that they belong to.

    Attributes:
        batch: examples.
        length: places of a sequence in the states between layers.
        places: those of queries, and in MLPs; keys and values are gathered.
        state: the states' own axis.
        layer: layers of stacked parameters.
        vocab: rows of embeddings and logits.
        embed: the parameters' axis of the hidden size.
        embed_out: a second such axis.
        heads: query heads.
        kv_heads: key and value heads.
        head_dim: inside a head.
        mlp: inside an MLP.
        experts: of a mixture.
        input: numbers of a vector that is read.
        position: rows of a table of positions.
        type: rows of a table of segments.
        labels: of a classifier.
        seed: models that are trained side by side.
    """

    batch: MeshAxes = ROWS
    length: MeshAxes = None
    places: MeshAxes = None
    state: MeshAxes = None
    layer: MeshAxes = None
    vocab: MeshAxes = "model"
    embed: MeshAxes = "fsdp"
    embed_out: MeshAxes = None
    heads: MeshAxes = "model"
    kv_heads: MeshAxes = "model"
    head_dim: MeshAxes = None
    mlp: MeshAxes = "model"
    experts: MeshAxes = None
    input: MeshAxes = None
    position: MeshAxes = None
    type: MeshAxes = None
    labels: MeshAxes = None
    seed: MeshAxes = None

    def mesh_axes(self, logical: str | None) -> tuple[str, ...]:
        """The mesh axes of a logical axis.

        Raises:
            ValueError: no rule knows the name.
        """
        if logical is None:
            return ()
        if logical not in {field.name for field in dataclasses.fields(self)}:
            raise ValueError(f"no rule for the logical axis {logical!r}")
        return mesh_axes(getattr(self, logical))


def mesh_axes(axes: MeshAxes) -> tuple[str, ...]:
    """Mesh axes as a tuple, in whichever form a rule has them."""
    return () if axes is None else (axes,) if isinstance(axes, str) else axes


@dataclasses.dataclass(frozen=True)
class Sharding:
    """A way to divide a model and its examples over a mesh.

    Attributes:
        description: what is divided, in one line.
        rules: which mesh axes each logical axis is split over.
    """

    description: str
    rules: LogicalRules


_WHOLE = LogicalRules(
    batch=(*ROWS, "model"), vocab=None, embed=None, heads=None, kv_heads=None, mlp=None
)
SHARDINGS = Choices(
    "sharding",
    {
        "dp": Sharding("examples alone; every device holds the whole model", _WHOLE),
        "fsdp": Sharding(
            "examples, and the parameters over fsdp, gathered layer by layer",
            dataclasses.replace(_WHOLE, embed="fsdp"),
        ),
        "fsdp+tp": Sharding(
            "the parameters over fsdp, and heads, MLPs and vocabulary over model", LogicalRules()
        ),
        "fsdp+tp+sp": Sharding(
            "so, and between layers the places of a sequence over model",
            LogicalRules(length="model"),
        ),
        "fsdp+cp": Sharding(
            "the parameters over fsdp, and the places of a sequence over model, in attention too",
            LogicalRules(length="model", places="model", heads=None, kv_heads=None, mlp=None),
        ),
        "seeds": Sharding(
            "models trained side by side (icl train --seeds); each is whole on its device",
            dataclasses.replace(_WHOLE, batch=None, seed=(*ROWS, "model")),
        ),
    },
)
