import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from attention.errors import InputError
from attention.meshes import LogicalRules, make_mesh
from attention.training.sharding import (
    optimizer_shardings,
    param_shardings,
    shard,
    transformer_axes,
)

L, V, D, N, K, H, F, E = 3, 26, 10, 4, 2, 5, 14, 6
LAYER = {
    "attention_norm/scale": ((D,), ("embed",)),
    "attention_norm/bias": ((D,), ("embed",)),
    "attention/query/kernel": ((D, N, H), ("embed", "heads", "head_dim")),
    "attention/query/bias": ((N, H), ("heads", "head_dim")),
    "attention/key/kernel": ((D, K, H), ("embed", "kv_heads", "head_dim")),
    "attention/key/bias": ((K, H), ("kv_heads", "head_dim")),
    "attention/value/kernel": ((D, K, H), ("embed", "kv_heads", "head_dim")),
    "attention/value/bias": ((K, H), ("kv_heads", "head_dim")),
    "attention/query_norm/scale": ((H,), ("head_dim",)),
    "attention/key_norm/scale": ((H,), ("head_dim",)),
    "attention/out/kernel": ((N, H, D), ("heads", "head_dim", "embed")),
    "attention/out/bias": ((D,), ("embed",)),
    "attention/normalizer/per_head": ((N,), ("heads",)),
    "attention/normalizer/scalar": ((), ()),
    "attention/normalizer/flat": ((1, 1), ("heads", None)),
    "norm/scale": ((D,), ("embed",)),
    "attention_output_norm/scale": ((D,), ("embed",)),
    "mlp/router/kernel": ((D, E), ("embed", "experts")),
    "mlp/expert_gate/kernel": ((E, D, F), ("experts", "embed", "mlp")),
    "mlp/expert_up/kernel": ((E, D, F), ("experts", "embed", "mlp")),
    "mlp/expert_down/kernel": ((E, F, D), ("experts", "mlp", "embed")),
    "mlp_norm/scale": ((D,), ("embed",)),
    "mlp_norm/bias": ((D,), ("embed",)),
    "mlp/gate/kernel": ((D, F), ("embed", "mlp")),
    "mlp/gate/bias": ((F,), ("mlp",)),
    "mlp/up/kernel": ((D, F), ("embed", "mlp")),
    "mlp/up/bias": ((F,), ("mlp",)),
    "mlp/down/kernel": ((F, D), ("mlp", "embed")),
    "mlp/down/bias": ((D,), ("embed",)),
}
OUTSIDE = {
    "embed/embedding": ((V, D), ("vocab", "embed")),
    "embed/kernel": ((9, D), ("input", "embed")),
    "embed/bias": ((D,), ("embed",)),
    "position_embedding/embedding": ((11, D), ("position", "embed")),
    "token_type_embedding/embedding": ((2, D), ("type", "embed")),
    "embedding_norm/scale": ((D,), ("embed",)),
    "embedding_norm/bias": ((D,), ("embed",)),
    "final_norm/scale": ((D,), ("embed",)),
    "final_norm/bias": ((D,), ("embed",)),
    "lm_head/kernel": ((V, D), ("vocab", "embed")),
    "lm_head/bias": ((V,), ("vocab",)),
    "head/dense/kernel": ((D, D), ("embed", "embed_out")),
    "head/dense/bias": ((D,), ("embed_out",)),
    "head/norm/scale": ((D,), ("embed_out",)),
    "head/norm/bias": ((D,), ("embed_out",)),
    "head/bias": ((V,), ("vocab",)),
    "head/out/kernel": ((D, 3), ("embed", "labels")),
    "head/out/bias": ((3,), ("labels",)),
}
AXES = ("dcn", "data", "fsdp", "model")
MESH = AbstractMesh((1, 4, 1, 2), AXES, axis_types=(AxisType.Auto,) * 4)


def nest(flat):
    tree = {}
    for path, value in flat.items():
        *parents, last = path.split("/")
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    return tree


def array(shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def transformer(form):
    """Abstract parameters with every path the transformer can have, and their logical axes."""
    params = nest({path: array(shape) for path, (shape, _) in OUTSIDE.items()})
    axes = nest({path: names for path, (_, names) in OUTSIDE.items()})
    if form == "stacked":
        params["layers"] = nest({path: array((L, *shape)) for path, (shape, _) in LAYER.items()})
        axes["layers"] = nest({path: ("layer", *names) for path, (_, names) in LAYER.items()})
    else:
        one = nest({path: array(shape) for path, (shape, _) in LAYER.items()})
        names = nest({path: names for path, (_, names) in LAYER.items()})
        params["layers"], axes["layers"] = (one,) * L, (names,) * L
    return params, axes


@pytest.mark.parametrize("form", ["stacked", "unstacked"])
def test_table_knows_every_parameter(form):
    params, axes = transformer(form)
    assert transformer_axes(params) == axes


def test_unknown_parameters_are_all_named():
    params, _ = transformer("stacked")
    params["layers"]["attention"]["gate"] = {"kernel": array((L, D))}
    params["head"]["out"]["kernel"] = array((D,))
    with pytest.raises(ValueError, match=r"head/out/kernel .*layers/attention/gate/kernel"):
        transformer_axes(params)
    with pytest.raises(ValueError, match="layers/2/mlp/down/slope"):
        transformer_axes({"layers": ({}, {}, {"mlp": {"down": {"slope": array((D,))}}})})


@pytest.mark.parametrize("form", ["stacked", "unstacked"])
def test_model_parallel_shardings(form):
    params, axes = transformer(form)
    homes = param_shardings(params, axes, MESH, LogicalRules())
    lead = (None,) if form == "stacked" else ()
    layer = homes["layers"] if form == "stacked" else homes["layers"][1]
    attention = layer["attention"]
    assert attention["query"]["kernel"].spec == PartitionSpec(*lead, "fsdp", "model", None)
    assert attention["out"]["kernel"].spec == PartitionSpec(*lead, "model", None, "fsdp")
    assert attention["normalizer"]["flat"].spec == PartitionSpec(*lead, None, None)
    assert layer["mlp"]["down"]["kernel"].spec == PartitionSpec(*lead, "model", "fsdp")
    assert homes["embed"]["embedding"].spec == PartitionSpec("model", "fsdp")
    assert homes["final_norm"]["scale"].spec == PartitionSpec("fsdp")


def test_kernels_that_end_in_embed_are_divided_along_their_rows():
    params, axes = transformer("stacked")
    mesh = AbstractMesh((1, 1, 2, 2), AXES, axis_types=(AxisType.Auto,) * 4)
    layer = param_shardings(params, axes, mesh, LogicalRules())["layers"]
    rows = ("model", "fsdp")
    assert layer["attention"]["out"]["kernel"].spec == PartitionSpec(None, rows, None, None)
    assert layer["mlp"]["gate"]["kernel"].spec == PartitionSpec(None, "fsdp", "model")
    # 14 rows do not divide over 4
    assert layer["mlp"]["down"]["kernel"].spec == PartitionSpec(None, "model", "fsdp")


def test_a_dimension_the_axis_does_not_divide_stays_whole():
    params, axes = transformer("stacked")
    rules = LogicalRules(vocab="data", embed=None)  # 26 over 4
    assert param_shardings(params, axes, MESH, rules)["lm_head"]["bias"].spec == PartitionSpec(None)
    assert param_shardings(params, axes, MESH, LogicalRules())["lm_head"]["bias"].spec == (
        PartitionSpec("model")
    )


def test_every_rule_is_alive():
    params, axes = transformer("stacked")
    everywhere = AbstractMesh((1,) * 4, AXES, axis_types=(AxisType.Auto,) * 4)
    nothing = LogicalRules(*[None] * len(dataclasses.fields(LogicalRules)))
    for field in dataclasses.fields(LogicalRules):
        if field.name not in ("batch", "length", "places", "state", "seed"):  # of activations
            rules = dataclasses.replace(nothing, **{field.name: "data"})
            homes = jax.tree.leaves(param_shardings(params, axes, everywhere, rules))
            assert any("data" in home.spec for home in homes), field.name


def test_collisions_and_unknown_names_raise():
    params, axes = transformer("stacked")
    with pytest.raises(ValueError, match=r"collide on mesh axes") as error:
        param_shardings(params, axes, MESH, LogicalRules(embed="model"))
    assert "embed/embedding" in str(error.value)
    with pytest.raises(ValueError, match=r"no axis \['expert'\]"):
        param_shardings(params, axes, MESH, LogicalRules(mlp="expert"))
    with pytest.raises(ValueError, match="no rule for the logical axis 'tokens'"):
        param_shardings({"w": array((2,))}, {"w": ("tokens",)}, MESH, LogicalRules())
    with pytest.raises(ValueError, match="w: shape"):
        param_shardings({"w": array((2, 2))}, {"w": ("embed",)}, MESH, LogicalRules())


def test_no_axes_means_replicated():
    homes = param_shardings({"w": array((8, 8))}, None, MESH, LogicalRules())
    assert homes["w"].is_fully_replicated


OPTIMIZERS = {
    "adam": optax.adam(1.0),
    "chain": optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.constant_schedule(1.0))),
    "hyperparams": optax.inject_hyperparams(optax.adam)(learning_rate=1.0),
    "masked": optax.masked(optax.adam(1.0), {"mlp": {"up": True, "down": False}}),
    "partition": optax.multi_transform(
        {"a": optax.adam(1.0), "b": optax.set_to_zero()}, {"mlp": {"up": "a", "down": "b"}}
    ),
    "multi_steps": optax.MultiSteps(optax.adam(1.0), 2).gradient_transformation(),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_live_with_their_parameters(name):
    params = {"mlp": {"up": array((10, 14)), "down": array((14, 10))}}
    axes = {"mlp": {"up": ("embed", "mlp"), "down": ("mlp", "embed")}}
    homes = param_shardings(params, axes, MESH, LogicalRules())
    state = jax.eval_shape(OPTIMIZERS[name].init, params)
    got = optimizer_shardings(state, params, homes)
    assert jax.tree.structure(got) == jax.tree.structure(state)
    specs = {(10, 14): PartitionSpec("fsdp", "model"), (14, 10): PartitionSpec("model", "fsdp")}
    for leaf, home in zip(jax.tree.leaves(state), jax.tree.leaves(got), strict=True):
        assert home.spec == specs.get(leaf.shape, PartitionSpec())
    assert any(leaf.ndim == 2 for leaf in jax.tree.leaves(state))


def test_factored_moments_are_replicated():
    params = {"w": array((256, 256))}
    homes = param_shardings(params, {"w": ("mlp", None)}, MESH, LogicalRules())
    state = jax.eval_shape(optax.adafactor(1.0).init, params)
    for leaf, home in zip(
        jax.tree.leaves(state),
        jax.tree.leaves(optimizer_shardings(state, params, homes)),
        strict=True,
    ):
        assert home.spec == (PartitionSpec("model", None) if leaf.ndim == 2 else PartitionSpec())


def test_make_mesh():
    assert dict(make_mesh(data=1).shape) == dict.fromkeys(AXES, 1)
    with pytest.raises(InputError, match="needs more than"):
        make_mesh(data=64, model=64)
    with pytest.raises(InputError, match="does not divide"):
        make_mesh(model=len(jax.devices()) + 1)


def test_shard_copies():
    mesh = make_mesh(data=1)
    for original in ({"w": jnp.ones(5)}, {"w": np.ones(5, np.float32)}):
        homes = param_shardings(original, None, mesh, LogicalRules())
        copy = shard(shard(original, homes), homes)
        jax.jit(lambda t: jax.tree.map(lambda x: x * 2, t), donate_argnums=0)(copy)
        assert float(original["w"].sum()) == 5.0
