"""Speed and memory of shorter models."""

import csv

import pytest

from attention.errors import InputError
from tale_jax.commands.benchmark import benchmark
from tale_jax.options import Workload


def rows(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_benchmark_tells_sizes_exactly(searched, tmp_path):
    work = Workload(5, 3, rounds=2, warmup=1)
    found = benchmark(
        model=str(searched / "tiny"), drop=[1, 3], batch=2, work=work, out=tmp_path / "b.csv"
    )["rows"]
    full, shorter = found
    assert full["cache_mib"] * 2**20 == 5 * 2 * (5 + 3) * 2 * 14 * 4
    assert shorter["cache_mib"] == pytest.approx(full["cache_mib"] * 3 / 5)
    layer = 22 * 14 * (2 + 1 + 1 + 2) + 3 * 22 * 31 + 2 * 22
    assert (full["parameters_mib"] - shorter["parameters_mib"]) * 2**20 == 2 * layer * 4
    assert shorter["memory_ratio"] < full["memory_ratio"] == 1
    assert full["first_token_ratio"] == full["decode_ratio"] == 1
    assert len(rows(tmp_path / "b.csv")) == 2
    for given, message in (
        ({"new_tokens": 1}, "--new-tokens must be at least 2"),
        ({"prompt_length": 99}, "positions"),
        ({"run": searched / "a"}, "leave out --drop"),
    ):
        with pytest.raises(InputError, match=message):
            benchmark(model=str(searched / "tiny"), drop=[1], **given)
    with pytest.raises(InputError, match="give --run"):
        benchmark(model=str(searched / "tiny"))
