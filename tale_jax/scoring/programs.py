"""What runs on the device, a few programs a batch shape, for every candidate of a search.

A candidate that is read (log-likelihood) goes through *begin*, *advance* once a layer, and
*finish*; it may take up the states of another model that is the same so far.  *finish* is the last
layer at the places that are read alone.  The front, which is the text that all rows begin with, has
its beginning from *begin* too, and goes through *share*, which also gives the layer's keys and
values.  *read* is the end of *finish* for the states of several layers, as if the model stopped
after each.  A candidate that writes goes through *begin*, *share* once a layer, and *write*, which
goes on from the keys and values of all layers.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from attention.likelihood import Arrays
from attention.meshes import Placement, using
from attention.transformer import (
    Branches,
    Cache,
    Context,
    KeyValues,
    Transformer,
    TransformerConfig,
    last_places,
    run_layer,
)
from tale_jax.scoring.protocols import Asker

# On a CPU: LLVM's first level compiles in three quarters of the time, and programs are as fast, the
# products of which are a library's.  Where there is little to compute, simple loops will do, which
# take half of that time again, but one exponential at a time.
CPU_OPTIONS: dict[str, str | bool] = {"xla_backend_optimization_level": "1"}
SMALL_OPTIONS = CPU_OPTIONS | {"xla_cpu_use_fusion_emitters": False}
SMALL = ("begin", "finish")
READ = ("finish", "read", "write")  # what the host looks at
KEPT = 96  # programs that a later search of the same model and shapes finds compiled

_kept: collections.OrderedDict[Any, jax.stages.Compiled] = collections.OrderedDict()


class Beginning(NamedTuple):
    """What every candidate begins with: states before the first layer, and who sees whom."""

    hidden: jax.Array
    context: Context


class Programs:
    """Compiled once, side by side, and counted.

    One device's programs are kept for other searches of this process: those of an equal config, a
    protocol that says what it traces (``Asker.traced``), and the same shapes.

    Args:
        config: of the model.
        params: stacked.
        protocol: that has ``read`` or ``write``.
        front: the text before every row, as a batch of one row; None: there is none.
        placement: the devices, and how activations lie on them; None: one, or as they come.

    Attributes:
        compilations: programs so far, of which some may have been compiled before.
        writes: whether the protocol writes.
        front: as given.
    """

    def __init__(
        self,
        config: TransformerConfig,
        params: Mapping[str, Any],
        protocol: Asker,
        front: Arrays | None,
        placement: Placement | None = None,
    ):
        self.compilations, self.writes, self.front = 0, protocol.writes, front
        self._config, self._params, self._protocol = config, params, protocol
        self._traced = None
        if placement is None and protocol.traced is not None:
            self._traced = config, protocol.traced
        functions = (
            self._begin, self._advance, self._finish, self._share, self._read, self._write,
        )  # fmt: skip
        names = ("begin", "advance", "finish", "share", "read", "write")
        self._functions = {
            name: jax.jit(_placed(function, placement, whole=name in READ))
            for name, function in zip(names, functions, strict=True)
        }
        self._compiled: dict[Any, concurrent.futures.Future[jax.stages.Compiled]] = {}
        self._begun: set[Any] = set()
        self._lock = threading.Lock()
        self._compiler = concurrent.futures.ThreadPoolExecutor(2, "compiler")

    def most_compilations(self, shapes: int) -> int:
        """Programs that there can be for so many shapes of batches."""
        return 3 * shapes + (self.front is not None)

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Run ``begin``, ``advance``, ``finish``, ``share``, ``read`` or ``write``; no waiting."""
        return self._program(name, arguments).result()(self._params, *arguments)

    def begin(self, arrays: Arrays) -> tuple[Beginning, Beginning | None]:
        """The beginning of a batch, and that of the front."""
        return self("begin", arrays, self.front)

    def compile_all(self, arrays: Arrays) -> None:
        """Begin to compile all that a batch needs; needs no state of it."""
        shape = _shape(arrays)
        with self._lock:
            if shape in self._begun:
                return
            self._begun.add(shape)
        keep, layer, before = np.ones(2, bool), np.int32(0), None
        own, front = self._begin_compiling("begin", arrays, self.front)
        if front is not None:
            _, before = self._begin_compiling("share", self.front, front, keep, layer, None)
        if self.writes:
            depth = self._config.num_hidden_layers
            hidden, kept = self._begin_compiling("share", arrays, own, keep, layer, before)
            every = np.ones((depth, 2), bool)
            fronts = None if before is None else [before] * depth
            self._program("write", (arrays, hidden, every, [kept] * depth, fronts))
            return
        self._program("advance", (arrays, own, keep, layer, before))
        self._program("finish", (arrays, own, keep, layer, before))

    def _begin_compiling(self, name: str, *arguments: Any) -> Any:
        """The shapes of what comes out."""
        shapes = self._functions[name].eval_shape(self._params, *arguments)
        self._program(name, arguments)  # after it, so that it is traced once
        return shapes

    def _program(
        self, name: str, arguments: tuple[Any, ...]
    ) -> concurrent.futures.Future[jax.stages.Compiled]:
        key = name, _shape(arguments[0])
        with self._lock:
            if key not in self._compiled:
                self._compiled[key] = self._compiler.submit(self._compile, name, arguments)
                self.compilations += 1
            return self._compiled[key]

    def _compile(self, name: str, arguments: tuple[Any, ...]) -> jax.stages.Compiled:
        options: dict[str, str | bool] = {}
        if jax.default_backend() == "cpu":
            options = SMALL_OPTIONS if name in SMALL else CPU_OPTIONS
        given = self._params, *arguments
        key = None
        if self._traced is not None:
            key = self._traced, name, tuple(options.items()), _forms(given)
            with contextlib.suppress(KeyError):
                return _kept[key]
        lowered = self._functions[name].lower(*given)
        try:
            compiled = lowered.compile(options)
        except jax.errors.JaxRuntimeError:
            if not options:
                raise
            compiled = lowered.compile()  # an option of another jaxlib
        if key is not None:
            _kept[key] = compiled
            while len(_kept) > KEPT:
                with contextlib.suppress(KeyError):  # another thread was quicker
                    _kept.popitem(last=False)
        return compiled

    # The programs themselves, as JAX traces them.  `arrays` go to all, even where they are not
    # used, for programs are told apart by the shapes of their first argument.

    def _begin(
        self, params: Mapping[str, Any], arrays: Arrays, front: Arrays | None
    ) -> tuple[Beginning, Beginning | None]:
        model, variables = Transformer(self._config), {"params": params}

        def beginning(arrays: Arrays, before: int) -> Beginning:
            branches = Branches(arrays.branches, arrays.positions, before)
            how: Any = {"branches": branches, "method": "embed_inputs"}
            found: Any = model.apply(variables, arrays.tokens, **how)
            return Beginning(*found)

        if front is None:
            return beginning(arrays, 0), None
        return beginning(arrays, front.tokens.size), beginning(front, 0)

    def _layer(self, params: Any, begun: Beginning, keep: Any, layer: Any, **how: Any) -> Any:
        given = begun.hidden, begun.context, keep, layer
        return run_layer(self._config, params["layers"], *given, **how)

    def _advance(
        self, params: Any, arrays: Arrays, begun: Beginning, keep: Any, layer: Any, before: Any
    ) -> jax.Array:
        del arrays
        return self._layer(params, begun, keep, layer, prefix=before)[0]

    def _finish(
        self, params: Any, arrays: Arrays, begun: Beginning, keep: Any, layer: Any, before: Any
    ) -> Any:
        how = {"prefix": before, "read_at": arrays.places}
        states_BUD = self._layer(params, begun, keep, layer, **how)[0]
        return self._protocol.read(params, states_BUD, arrays)

    def _share(
        self, params: Any, arrays: Arrays, begun: Beginning, keep: Any, layer: Any, before: Any
    ) -> tuple[jax.Array, KeyValues]:
        del arrays
        return self._layer(params, begun, keep, layer, prefix=before)

    def _read(self, params: Any, arrays: Arrays, states: Sequence[jax.Array]) -> list[Any]:
        count = len(states)
        places_BU1 = arrays.places[:, :, None]
        read = jnp.concatenate([jnp.take_along_axis(s, places_BU1, axis=1) for s in states])
        every = jax.tree.map(lambda array: jnp.concatenate([array] * count), arrays)
        found, tree = jax.tree.flatten(self._protocol.read(params, read, every))
        parts = zip(*(jnp.split(array, count) for array in found), strict=True)
        return [jax.tree.unflatten(tree, part) for part in parts]

    def _write(
        self,
        params: Any,
        arrays: Arrays,
        hidden: jax.Array,
        keep: Any,
        kept: Sequence[KeyValues],
        fronts: Sequence[KeyValues] | None,
    ) -> Any:
        room, where_BS, positions_BS = self._protocol.new_tokens, arrays.where, arrays.positions
        if fronts is not None:
            kept = [own.behind(front) for own, front in zip(kept, fronts, strict=True)]
            front_BS = jnp.arange(fronts[0].key_BSKH.shape[1])[None]
            front_BS = jnp.broadcast_to(front_BS, (len(where_BS), front_BS.size))
            where_BS = jnp.concatenate([jnp.ones_like(front_BS, bool), where_BS], axis=1)
            positions_BS = jnp.concatenate([front_BS, positions_BS], axis=1)

        def with_room(array: jax.Array, axis: int) -> jax.Array:
            return jnp.pad(array, [(0, room * (i == axis)) for i in range(array.ndim)])

        layers = jax.tree.map(lambda *each: with_room(jnp.stack(each), 2), *kept)
        cache = Cache(
            layers,
            with_room(where_BS, 1),
            with_room(positions_BS, 1),
            jnp.int32(where_BS.shape[1]),
        )
        read: Any = {"read_at": last_places(arrays.where), "method": "read_out"}
        model, variables = Transformer(self._config), {"params": params}
        logits_B1V: Any = model.apply(variables, hidden, **read)
        return self._protocol.write(params, keep, logits_B1V, cache)


def _placed(
    function: Callable[..., Any], placement: Placement | None, whole: bool
) -> Callable[..., Any]:
    """The function, whose activations lie on the devices as the placement says.

    What is ``whole`` goes to every device, because each process reads it.
    """

    @functools.wraps(function)
    def placed(*arguments: Any) -> Any:
        with using(placement):
            result = function(*arguments)
        if placement is None or not whole:
            return result
        home = NamedSharding(placement.mesh, PartitionSpec())
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, home), result)

    return placed


def _forms(given: Any) -> tuple[Any, ...]:
    """All that compiling sees of arrays: how they hang together, shapes, types and places."""
    leaves, tree = jax.tree.flatten(given)
    parts = ("shape", "dtype", "weak_type", "sharding")
    return tree, *(tuple(getattr(leaf, part, None) for part in parts) for leaf in leaves)


def _shape(arrays: Arrays) -> tuple[tuple[int, ...], ...]:
    return arrays.tokens.shape, arrays.targets.shape, arrays.places.shape
