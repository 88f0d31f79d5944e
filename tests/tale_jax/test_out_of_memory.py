"""A processor that really runs out of memory, as under ``ulimit -v``."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

PROGRAM = """
    import resource
    import sys
    from pathlib import Path

    import jax

    from tale_jax.cli import main

    jax.devices()
    if (room := int(sys.argv[1])):
        pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (pages + room * 2**20,) * 2)
    main(sys.argv[2:])
"""
HALVED = "out of memory: batches now hold"
LENGTH, ROWS, ROOM = 389, 64, 1700  # MiB


def run(folder, *words, room=0):
    """Run ``tale`` with so many MiB of memory more than it has after its imports."""
    file = folder / "limited.py"
    file.write_text(textwrap.dedent(PROGRAM))
    usual = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    usual["MALLOC_ARENA_MAX"] = "1"  # each arena counts as 64 MiB
    line = [sys.executable, str(file), str(room), *map(str, words), "--json"]
    return subprocess.run(line, check=False, capture_output=True, text=True, env=usual)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    file = tmp_path_factory.mktemp("long") / "long.jsonl"
    number = np.random.default_rng(7)
    with file.open("w") as lines:
        for row in range(ROWS):
            prompt = "".join(number.choice(list("abcdefgh"), LENGTH))
            print(json.dumps({"prompt": prompt, "choices": ["x", "y"], "answer": row % 2}),
                  file=lines)  # fmt: skip
    return file


@pytest.mark.nightly
@pytest.mark.parametrize("command", ["evaluate", "search"])
def test_a_command_that_runs_out_of_memory(command, task, write_model, tmp_path):
    """Batches are halved until they fit; a row that does not fit ends in one line."""
    changes = {"max_position_embeddings": 400, "num_hidden_layers": 2, "hidden_size": 6}
    small = write_model(tmp_path / "small", intermediate_size=2**16, **changes)
    large = write_model(tmp_path / "large", intermediate_size=2**19, **changes)
    outs = [tmp_path / name for name in ("whole", "halved", "refused")]
    words = [
        (command, "--model", model, "--task", task, "--batch-tokens", tokens)
        + (("--epsilon", "0.9", "--max-drops", "1", "--out", out) if command == "search" else ())
        for model, out, tokens in zip((small, small, large), outs, (400, 7000, 7000), strict=True)
    ]  # fmt: skip
    whole, halved = run(tmp_path, *words[0]), run(tmp_path, *words[1], room=ROOM)
    assert (whole.returncode, halved.returncode) == (0, 0), halved.stderr
    assert HALVED in halved.stderr and HALVED not in whole.stderr
    counts = [json.loads(done.stdout) for done in (whole, halved)]
    names = ("baseline", "best") if command == "search" else ("search",)
    for name in names:
        assert counts[0][name]["correct"] == counts[1][name]["correct"]
    refused = run(tmp_path, *words[2], room=ROOM)
    assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
    assert refused.stderr.splitlines()[-1].startswith("tale: out of memory"), refused.stderr
    assert "Traceback" not in refused.stderr and HALVED in refused.stderr
