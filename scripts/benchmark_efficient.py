"""Efficient attention of every head of a 12-layer, 12-head encoder at 512 tokens, against rivals.

Command: ``python scripts/benchmark_efficient.py --rows diffuse`` and ``--rows sharp``
Cost: one to two minutes each on 2 CPU cores.

Rows: the attention of a random encoder of BERT-base's size.  *diffuse*: as it is drawn; *sharp*:
its query and key kernels scaled so that most weight lies on a few tokens, as after training.
Rivals, on ``--sample`` rows drawn over all heads and scaled to all: SciPy's NNLS on the stacked
system, and Newton's method one row at a time in NumPy, by the same two methods and fallbacks, with
dense systems, which are faster than conjugate gradients for one row.  Both rivals are charged with
the basis of each head, once.  The job runs once to compile, then layer by layer in turns with the
rivals' rows, that other load on the machine falls on all.  The last line is JSON.
"""

from __future__ import annotations

import functools
import json
import time
from typing import Any, Literal

import jax
import numpy as np
import scipy.optimize
from jaxtyping import Float

from attention.command_line import Result, run_script
from attention.explanation import column_space, heads, solve, with_ones
from attention.explanation.solver import GAP, RESIDUAL, RIDGE
from attention.transformer import Transformer, TransformerConfig

SEMISMOOTH_STEPS, PATH_STEPS = 20, 60
Row = Float[np.ndarray, " S"]
Basis = Float[np.ndarray, "S K"]


def captured(
    layers: int, tokens: int, sharp: bool
) -> tuple[Float[np.ndarray, "LN T S"], Float[np.ndarray, "LN S H"]]:
    """Attention weights and values of a random encoder, of all heads of all layers."""
    config = TransformerConfig(
        family="bert", hidden_size=768, num_hidden_layers=layers, num_attention_heads=12,
        intermediate_size=64, vocab_size=1000, max_position_embeddings=tokens, head="none",
        position_embedding="learned", norm="layernorm", norm_placement="post", causal=False,
        embedding_norm=True, final_norm=False, gated_mlp=False, hidden_act="gelu",
    )  # fmt: skip
    ids = jax.random.randint(jax.random.key(1), (1, tokens), 0, 1000)
    params: Any = Transformer(config).init(jax.random.key(0), ids[:, :3])["params"]
    for name in ("query", "key") if sharp else ():
        kernel = params["layers"]["attention"][name]["kernel"]
        params["layers"]["attention"][name]["kernel"] = 3.0 * kernel
    names = ("attention_weights", "values")
    seen: Any
    _, seen = Transformer(config).apply({"params": params}, ids, capture=names)
    weights, values = (np.asarray(seen[name], np.float64)[:, 0] for name in names)
    return weights.reshape(-1, tokens, tokens), values.reshape(-1, tokens, 64)


def nnls(a: Row, basis: Basis) -> Row:
    """Efficient attention of a row by SciPy's NNLS, with the constraints as a penalty."""
    stacked = np.vstack([1e4 * basis.T, np.eye(len(basis))])
    target = np.concatenate([1e4 * basis.T @ a, np.zeros(len(basis))])
    return scipy.optimize.nnls(stacked, target, maxiter=100 * len(basis))[0]


def step(basis, inverse, w, primal, dual, b, s, products):
    """Changes of ``b``, ``mu`` and ``s`` that change ``b s`` by ``products``."""
    d_mu = inverse @ (primal - basis.T @ (w * (dual + products / b)))
    d_b = w * (basis @ d_mu + dual + products / b)
    return d_b, d_mu, (products - s * d_b) / b


def semismooth(c: Float[np.ndarray, " K"], basis: Basis) -> Row | None:
    """The dual Newton method with an exact line search, or None if it is far from the end."""
    mu, eye = c.copy(), np.eye(basis.shape[1])
    for _ in range(SEMISMOOTH_STEPS):
        z = basis @ mu
        active = basis[z > 0]
        gradient = c - active.T @ z[z > 0]
        if np.abs(gradient).max() <= RESIDUAL:
            return np.maximum(z, 0)
        move = np.linalg.solve(active.T @ active + 1e-12 * eye, gradient)
        along, gain, t, low, high = basis @ move, c @ move, 1.0, 0.0, np.inf
        for _ in range(3):
            moved = z + t * along
            slope = along @ np.maximum(moved, 0) - gain
            low, high = (t, high) if slope < 0 else (low, t)
            curve = along[moved > 0] @ along[moved > 0]
            newest = t - slope / curve if curve > 0 else np.nan
            t = newest if low < newest < high else (2 * t if np.isinf(high) else (low + high) / 2)
        mu += t * move
    return None


def follow(c: Float[np.ndarray, " K"], size: float, basis: Basis) -> Row | None:
    """The path from its cold start, or None where float64 carries it no further."""
    ridge = RIDGE * np.eye(basis.shape[1])
    b = s = np.full(len(basis), 0.3 * size)
    mu = np.zeros(len(c))
    longest = lambda x, d: np.min(-x[d < 0] / d[d < 0], initial=np.inf)  # noqa: E731
    for _ in range(PATH_STEPS):
        found = np.where(b > s, b, 0)
        if b @ s <= GAP * size**2 and np.abs(c - basis.T @ found).max() <= RESIDUAL:
            return found
        w, primal, dual = b / (b + s), c - basis.T @ b, basis @ mu + s - b
        inverse = np.linalg.inv((basis.T * w) @ basis + ridge)
        direction = functools.partial(step, basis, inverse, w, primal, dual, b, s)
        tau = b @ s / len(b)
        d_b, _, d_s = direction(-b * s)
        length = min(1, longest(b, d_b), longest(s, d_s))
        centre = tau * ((b + length * d_b) @ (s + length * d_s) / len(b) / tau) ** 3
        d_b, d_mu, d_s = direction(centre - b * s - d_b * d_s)
        length = min(1, max(0.995, 1 - tau) * min(longest(b, d_b), longest(s, d_s)))
        moved = b + length * d_b, mu + length * d_mu, s + length * d_s
        # A product that rounds to zero leaves nothing to divide by: the last point stands.
        if not np.isfinite(moved[1]).all() or min(moved[0].min(), moved[2].min()) <= 0:
            return None
        b, mu, s = moved
    return None


def newton(a: Row, basis: Basis) -> Row:
    """One row by the methods of ``attention.explanation.solver.smallest_norm``."""
    c = basis.T @ a
    found = semismooth(c, basis)
    found = follow(c, float(np.linalg.norm(a)), basis) if found is None else found
    return nnls(a, basis) if found is None else found


RIVALS = {"NNLS": nnls, "NumPy Newton": newton}


def main(
    rows: Literal["diffuse", "sharp"] = "diffuse",
    layers: int = 12,
    tokens: int = 512,
    sample: int = 64,
) -> Result:
    """Time efficient attention of every head against two rivals.

    Args:
        rows: which attention
        layers: of the encoder; rivals are scaled to the count of rows, which is printed
        tokens: of the sequence
        sample: rows given to the rivals, drawn over all heads
    """
    weights, values = captured(layers, tokens, rows == "sharp")
    every, count = len(weights) // layers, len(weights) * tokens
    parts = [heads(weights[i : i + every, None], values[i : i + every, None])
             for i in range(0, len(weights), every)]  # fmt: skip
    start = time.perf_counter()
    for given in parts:
        solve(given)
    first = time.perf_counter() - start
    drawn = np.random.default_rng(0).integers(0, [len(weights), tokens], (sample, 2))
    seconds, shared, unconverged, residual, support = 0.0, 0.0, 0, 0.0, 0.0
    times, off = dict.fromkeys(RIVALS, 0.0), dict.fromkeys(RIVALS, 0.0)
    for layer, given in enumerate(parts):
        start = time.perf_counter()
        found, converged = solve(given)
        seconds += time.perf_counter() - start
        a = given.weights_MRS
        found = found.reshape(a.shape)
        residual = max(residual, float(np.abs((found - a) @ given.values_MSH).max()))
        unconverged += int((~converged).sum())
        support += (found > 0).sum() / count
        start = time.perf_counter()
        basis = column_space(with_ones(given))[0]
        shared += time.perf_counter() - start
        for head, row in drawn[drawn[:, 0] // every == layer] - [layer * every, 0]:
            for name, rival in RIVALS.items():
                start = time.perf_counter()
                other = rival(a[head, row], basis[head])
                times[name] += (time.perf_counter() - start) / sample * count
                off[name] = max(off[name], float(np.abs(other - found[head, row]).max()))
    for name in RIVALS:
        times[name] += shared
        print(f"{name:14}{times[name]:>8.1f} s ({sample} rows, scaled); differs by {off[name]:.1e}")
    spread = np.exp(-np.sum(weights * np.log(np.maximum(weights, 1e-300)), -1)).mean()
    print(f"{'batched':14}{seconds:>8.1f} s, and {first:.1f} s the first time, with compilation")
    print(f"{count:,} {rows} rows: exp(entropy) {spread:.1f}, support {support:.1f} of {tokens}")
    result = {
        "ratio": times["NNLS"] / seconds,
        "numpy_ratio": times["NumPy Newton"] / seconds,
        "residual": residual,
        "unconverged": unconverged,
        "rows": count,
        "seconds": seconds,
    }
    return Result(result, json.dumps(result))


if __name__ == "__main__":
    run_script(main)
