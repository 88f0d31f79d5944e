"""Efficient attention of every head of a 12-layer, 12-head encoder at 512 tokens, against rivals.

Command: ``python scripts/benchmark_efficient.py --rows diffuse`` and ``--rows sharp``
Cost: one to three minutes each on 2 CPU cores.

Rows: the attention of a random encoder of BERT-base's size.  *diffuse*: as it is drawn; *sharp*:
its query and key kernels scaled so that most weight lies on a few tokens, as after training.
Rivals, on ``--sample`` rows drawn over all heads and scaled to all: SciPy's NNLS on the stacked
system, and the same two Newton methods, one row at a time, in NumPy.  The last line is JSON.
"""

from __future__ import annotations

import functools
import json
import time
from typing import Any, Literal

import jax
import numpy as np
import scipy.optimize
import tyro

from attention.explanation.efficient import solve
from attention.explanation.heads import column_space, heads, with_ones
from attention.explanation.path import GAP, RESIDUAL, RIDGE
MOST_STEPS, SEMISMOOTH_STEPS = 99, 4
from attention.transformer import Transformer, TransformerConfig


def captured(layers: int, tokens: int, sharp: bool) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[L·N, T, S]`` and values ``[L·N, S, H]`` of a random encoder."""
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


def nnls(a: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The oracle: the constraints as a penalty."""
    stacked = np.vstack([1e4 * basis.T, np.eye(len(basis))])
    target = np.concatenate([1e4 * basis.T @ a, np.zeros(len(basis))])
    return scipy.optimize.nnls(stacked, target, maxiter=100 * len(basis))[0]


def step(basis, inverse, w, primal, dual, b, s, products):
    """Changes of ``b``, ``mu`` and ``s`` that change ``b s`` by ``products``."""
    d_mu = inverse @ (primal - basis.T @ (w * (dual + products / b)))
    d_b = w * (basis @ d_mu + dual + products / b)
    return d_b, d_mu, (products - s * d_b) / b


def newton(a: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The methods of ``attention.explanation.min_norm`` for one row."""
    c, ridge = basis.T @ a, RIDGE * np.eye(basis.shape[1])
    mu = c.copy()
    for _ in range(SEMISMOOTH_STEPS):
        z = basis @ mu
        active = basis[z > 0]
        gradient = c - active.T @ z[z > 0]
        if np.abs(gradient).max() <= RESIDUAL:
            return np.maximum(z, 0)
        shift = max(1e-10, 1e-3 * np.linalg.norm(gradient)) * np.eye(len(c))
        move = np.linalg.solve(active.T @ active + shift, gradient)
        along, gain, t, low, high = basis @ move, c @ move, 1.0, 0.0, np.inf
        for _ in range(6):
            moved = z + t * along
            slope = along @ np.maximum(moved, 0) - gain
            low, high = (t, high) if slope < 0 else (low, t)
            curve = along[moved > 0] @ along[moved > 0]
            newest = t - slope / curve if curve > 0 else np.nan
            t = newest if low < newest < high else (2 * t if np.isinf(high) else (low + high) / 2)
        mu += t * move
    size = np.linalg.norm(a)
    b = s = np.full(len(a), 0.3 * size)
    mu = np.zeros(len(c))
    longest = lambda x, d: np.min(-x[d < 0] / d[d < 0], initial=np.inf)  # noqa: E731
    for _ in range(MOST_STEPS):
        w, primal, dual = b / (b + s), c - basis.T @ b, basis @ mu + s - b
        if b @ s <= GAP * size**2:
            break
        inverse = np.linalg.inv((basis.T * w) @ basis + ridge)
        direction = functools.partial(step, basis, inverse, w, primal, dual, b, s)
        tau = b @ s / len(b)
        d_b, _, d_s = direction(-b * s)
        length = min(1, longest(b, d_b), longest(s, d_s))
        centre = tau * ((b + length * d_b) @ (s + length * d_s) / len(b) / tau) ** 3
        d_b, d_mu, d_s = direction(centre - b * s - d_b * d_s)
        length = min(1, max(0.995, 1 - tau) * min(longest(b, d_b), longest(s, d_s)))
        b, mu, s = b + length * d_b, mu + length * d_mu, s + length * d_s
    return np.where(b > s, b, 0)


def main(
    rows: Literal["diffuse", "sharp"] = "diffuse",
    layers: int = 12,
    tokens: int = 512,
    sample: int = 64,
) -> None:
    """Time them.

    Args:
        rows: of attention
        layers: of the encoder; fewer are scaled to nothing, the count of rows is printed
        tokens: of the sequence
        sample: rows given to the rivals
    """
    weights, values = captured(layers, tokens, rows == "sharp")
    given = heads(weights[:, None], values[:, None])
    count = weights.shape[0] * tokens
    solve(heads(weights[:1, None], values[:1, None]))  # compiles
    start = time.perf_counter()
    found, converged = solve(given)
    seconds = time.perf_counter() - start
    a = given.weights_MRS
    residual = np.abs((found.reshape(a.shape) - a) @ given.values_MSH).max()
    start = time.perf_counter()
    basis = column_space(with_ones(given))[0]
    shared = time.perf_counter() - start  # the rivals need the bases too
    drawn = np.random.default_rng(0).integers(0, [len(a), tokens], (sample, 2))
    times = {}
    for name, rival in (("NNLS", nnls), ("NumPy Newton", newton)):
        start = time.perf_counter()
        other = np.stack([rival(a[head, row], basis[head]) for head, row in drawn])
        times[name] = shared + (time.perf_counter() - start) / sample * count
        off = np.abs(other - found.reshape(a.shape)[drawn[:, 0], drawn[:, 1]]).max()
        print(f"{name:14}{times[name]:>10.0f} s (of {sample} rows, scaled); differs by {off:.1e}")
    support = (found > 0).sum(-1).mean()
    tokens_used = np.exp(-np.sum(a * np.log(np.maximum(a, 1e-300)), -1)).mean()
    print(f"{'batched':14}{seconds:>10.1f} s for {count:,} {rows} rows: exp(entropy) "
          f"{tokens_used:.1f}, support {support:.1f} of {tokens}")  # fmt: skip
    result = {
        "ratio": times["NNLS"] / seconds,
        "numpy_ratio": times["NumPy Newton"] / seconds,
        "residual": float(residual),
        "unconverged": int((~converged).sum()),
        "rows": count,
        "seconds": seconds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    tyro.cli(main)
