"""What `attn bench` prints; no times are looked at."""

import json

import pytest

from attention import cli
from attention.dot_product import benchmark


def test_the_table_and_its_json(capsys):
    words = "bench --lengths 16 --heads 2 --kv-heads 1 --head-size 8 --rounds 1".split()
    cli.main([*words, "--normalizers", "ssa"])
    out = capsys.readouterr().out.splitlines()
    assert len(out) >= 5 and all(len(line) <= 80 for line in out)
    assert out[0].split() == "tokens forward + backward TFLOP/s memory".split()
    cli.main([*words, "--normalizers", "softmax,ssa", "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["device"], found["dtype"], found["head_size"]) == ("cpu", "float32", 8)
    names = [case["name"] for case in found["cases"]]
    ours = [f"{how} {name}" for how in ("xla", "blocks", "chunked") for name in ("softmax", "ssa")]
    assert names[:7] == ["jax.nn xla", *ours]
    for case in found["cases"]:
        assert case["forward"] > 0 and case["backward"] > 0
        assert case["tflops_forward"] * case["forward"] * 1e12 == pytest.approx(
            4 * 2 * 8 * 16 * 17 / 2
        )


def test_fused_cases_are_those_of_an_accelerator(monkeypatch):
    shape = benchmark.Shape(1, 16, 2, 1, 8, "bfloat16")
    assert not [name for name in benchmark._cases(shape, ["ssa"]) if "pallas" in name]
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    names = set(benchmark._cases(shape, ["softmax", "ssa"]))
    assert names >= {"jax.nn cudnn", "pallas softmax", "pallas softmax (own)", "pallas ssa"}


def test_what_it_refuses(capsys):
    for words, message in (
        ("--lengths 8 --rounds 0", "--rounds must be at least 1"),
        ("--lengths x", "--lengths must be a whole number"),
        ("--lengths 8,0", "--lengths must be at least 1, not 0"),
        ("--lengths 8 --heads 3 --kv-heads 2", "key/value heads (2) divide query heads (3)"),
        ("--lengths 8 --only nothing", "no case has 'nothing'"),
        ("--lengths 8 --normalizers soft", "unknown normalizer 'soft'"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(["bench", *words.split()])
        out, told = capsys.readouterr()
        assert stop.value.code == 2 and message in told and told.count("\n") == 1
        assert not out, "a table's head before the error"
