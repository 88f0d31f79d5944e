"""Speed and memory of shorter models."""

import csv
import os
import subprocess
import sys

import pytest

from attention.errors import InputError
from tale_jax.analysis.latency import decoding
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
    assert full["first_token_ratio"] == 1
    assert full["decode_ratio"] in (1, None)  # None: noise hides how long decoding takes
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


def test_decoding_that_noise_hides_has_no_speed():
    assert decoding([(1.0, 3.0), (1.0, 2.9), (1.5, 3.5)]) == pytest.approx(2.0)
    assert decoding([(1.0, 1.1), (1.0, 0.9), (1.0, 1.2)]) is None
    assert decoding([(1.0, 1.0)] * 3) is None


@pytest.mark.nightly
def test_a_benchmark_on_several_devices(searched):
    """Prompts are divided over data and the parameters over model; the sizes stay the same."""
    code = (
        "import sys; from tale_jax.commands.benchmark import benchmark as b; "
        "m, work = sys.argv[1], dict(prompt_length=5, new_tokens=2, rounds=1, warmup=0); "
        "one = b(model=m, drop=[1], batch=4, **work); "
        "two = b(model=m, drop=[1], batch=4, mesh='data=4,model=2', **work); "
        "assert '8 x cpu' in str(two) and 'x cpu' not in str(one); "
        "sizes = lambda r: [(x['parameters_mib'], x['cache_mib']) for x in r['rows']]; "
        "assert sizes(one) == sizes(two), (sizes(one), sizes(two)); "
        "b(model=m, drop=[1], batch=3, mesh='data=4', **work)"
    )
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", code, str(searched / "tiny")],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert "a batch of 3 cannot be divided over data=4 devices" in done.stderr
