"""What a report counts: operations of traced functions, and collectives of compiled programs."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from attention.commands.compile import model_config
from attention.compilation import (
    count_flops,
    find_collectives,
    find_target,
    read_config,
    step_for,
)
from attention.compilation.compiling import Report, _refused
from attention.errors import InputError

PROGRAM = """\
HloModule jit_step, is_scheduled=true

%body (param: (s32[], f32[5,8])) -> (s32[], f32[5,8]) {
  %param = (s32[], f32[5,8]) parameter(0)
  %start = (f32[5,8], f32[5,32]) all-gather-start(f32[5,8] %x), replica_groups=[2,4]<=[8]
  %hides = f32[5,8] fusion(f32[5,8] %x), kind=kLoop, calls=%inner
  %done = f32[5,32] all-gather-done((f32[5,8], f32[5,32]) %start)
  %again = (f32[5,8], f32[5,32]) all-gather-start(f32[5,8] %x), replica_groups=[2,4]<=[8]
  %done2 = f32[5,32] all-gather-done((f32[5,8], f32[5,32]) %again)
  %late = f32[5,8] fusion(f32[5,8] %x), kind=kLoop, calls=%inner
}

%cond (param: (u32[], f32[5,8])) -> pred[] {
  %constant.1 = u32[]{:T(128)} constant(7), metadata={op_name="x"}
  ROOT %compare = pred[] compare(u32[] %i, u32[] %constant.1), direction=LT
}

%windowed (param: (u32[], f32[5,8])) -> (u32[], f32[5,8]) {
  %gathers = (f32[6], f32[2]) fusion(f32[2] %x), kind=kOutput, calls=%async_collective_fusion.1
  %gathered = f32[6] fusion(f32[2] %x), kind=kOutput, calls=%fused_computation.2
}

%async_collective_fusion.1 (p: f32[2]) -> f32[6] {
  %all-gather.5 = f32[6] all-gather(f32[2] %p), channel_id=3, replica_groups=mesh['a'=3,'b'=2] {'a'}, dimensions={0}
}

%fused_computation.2 (p: f32[2]) -> f32[6] {
  %all-gather.6 = f32[6] all-gather(f32[2] %p), channel_id=3, replica_groups=mesh['a'=3,'b'=2] {'a'}, dimensions={0}
}

%all-reduce-scatter.clone (input: bf16[6,5]) -> bf16[2,5] {
  %all-reduce.9 = bf16[6,5] all-reduce(bf16[6,5] %input), channel_id=6, replica_groups={{0,1,2}}, to_apply=%add
  ROOT %part = bf16[2,5] dynamic-slice(bf16[6,5] %all-reduce.9, %at), dynamic_slice_sizes={2,5}
}

ENTRY %main (a: bf16[3,7]) -> bf16[3,7] {
  %a = bf16[3,7] parameter(0)
  %scattered = bf16[2,5] fusion(bf16[6,5] %b), kind=kCustom, calls=%all-reduce-scatter.clone
  %parts = ((f32[6,5], f32[4]), (f32[3,5], f32[2])) reduce-scatter-start(f32[6,5] %b, f32[4] %c), replica_groups={{0,1}}, to_apply=%add
  %parted = (f32[3,5], f32[2]) reduce-scatter-done(((f32[6,5], f32[4]), (f32[3,5], f32[2])) %parts)
  %sum = bf16[3,7] all-reduce(bf16[3,7] %a), replica_groups={{0,1}}, to_apply=%add
  %both = (f32[5], f32[3,2]) all-reduce(f32[5] %b, f32[3,2] %c), replica_groups={{0,1}}, to_apply=%add
  %two = ((f32[2], f32[1]), (f32[6], f32[3])) all-gather-start(f32[2] %d, f32[1] %e), replica_groups=[1,3]<=[3]
  %whole = (f32[6], f32[3]) all-gather-done(((f32[2], f32[1]), (f32[6], f32[3])) %two)
  %alone = bf16[3,7] all-reduce(bf16[3,7] %a), replica_groups={{0},{1}}, to_apply=%add
  %w = (s32[], f32[5,8]) while((s32[], f32[5,8]) %t), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"13"}}
  %v = (u32[], f32[5,8]) while((u32[], f32[5,8]) %t), condition=%cond, body=%windowed
}
"""  # noqa: E501


def test_collectives_of_a_program():
    found = find_collectives(PROGRAM)
    assert [(c.kind, c.bytes, c.devices, c.times, c.hidden) for c in found] == [
        ("reduce-scatter", 60, 3, 1, False),
        ("reduce-scatter", 136, 2, 1, False),  # of two arrays, started
        ("all-reduce", 42, 2, 1, False),
        ("all-reduce", 44, 2, 1, False),  # two arrays
        ("all-gather", 36, 3, 1, False),  # of two arrays, started
        ("all-gather", 640, 4, 13, True),
        ("all-gather", 640, 4, 13, False),
        ("all-gather", 24, 3, 7, True),  # one chain of two fusions
    ]
    assert found[2].seconds(link=21) == pytest.approx(2 * 42 / 2 / 21)
    assert found[5].seconds(link=10) == pytest.approx(13 * 640 * 3 / 4 / 10)


def test_operations_of_a_function():
    def one(x):
        return jax.lax.scan(lambda x, _: (x @ jnp.ones((3, 3)), None), x, length=5)[0].sum()

    x = jnp.ones((7, 3))
    assert count_flops(jax.make_jaxpr(one)(x)) == 5 * 2 * 7 * 3 * 3
    assert count_flops(jax.make_jaxpr(jax.jit(jax.grad(one)))(x)) == 2 * 5 * 2 * 7 * 3 * 3
    branches = lambda x: jax.lax.cond(x.sum() > 0, lambda x: x @ x.T @ x, lambda x: x, x)  # noqa: E731
    assert count_flops(jax.make_jaxpr(branches)(x)) == 2 * 2 * 7 * 7 * 3


def test_targets():
    target = find_target("v5e-256")
    assert (target.kind, target.count, target.chip.platform) == ("v5e", 256, "tpu")
    assert find_target("h200").count == 1
    for wrong in ("v5e-3", "v5e-", "v5e-many"):
        if wrong != "v5e-":
            with pytest.raises(InputError, match=r"v5e-1, v5e-4"):
                find_target(wrong)
    with pytest.raises(InputError, match="v5e, v5p"):
        find_target("v9-8")


def test_a_refusal_says_how_much_is_missing():
    target = find_target("v5e-8")
    memory = _refused("Ran out of memory: Used 252.00G of 15.75G hbm. Exceeded", target)
    assert memory["missing"] == int((252 - 15.75) * 2**30)
    temporaries = "memory required for HLO temporaries (18.37G) exceeds available HBM (15.75G)."
    assert _refused(temporaries, target)["missing"] == int(18.37 * 2**30) - int(15.75 * 2**30)
    report = Report(target, "train", {"batch": 8}, memory)
    assert not report.fits
    assert f"252.00 GiB of 15.75, so that {memory['missing']} bytes" in report.verdict


def test_configs_need_no_weights():
    assert read_config("llama-3.1-8b").num_hidden_layers == 32
    with pytest.raises(InputError, match=r"no such folder, and no model of llama-3.1-8b"):
        read_config("nothing")
    paper = model_config("ssa-114m", "ssa")  # the recipe of attn pretrain
    assert (paper.num_attention_heads, paper.normalizer) == (24, "ssa")
    assert model_config("gpt2", "ssmax") == dataclasses.replace(
        read_config("gpt2"), normalizer="ssmax"
    )
    with pytest.raises(InputError, match="compiled for causal language models, not for masked_lm"):
        step_for(find_target("v5e-8"), [], model_config("babyberta"))
