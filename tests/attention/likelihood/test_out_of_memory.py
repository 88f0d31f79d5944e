"""A processor that really runs out of memory: batches are halved, or one line says so."""

import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import resource
    import sys
    from pathlib import Path

    import jax
    import jax.numpy as jnp

    from attention.command_line import run_script
    from attention.likelihood import Row, RowBatches


    def fill(rows: int):
        '''Fill the memory.'''
        batches = RowBatches([Row.prompt([1] * 64) for _ in range(rows)], 64 * rows)

        @jax.jit
        def program(arrays):
            wide = jnp.sin(arrays.tokens[..., None] * jnp.arange(2.0**WIDTH))
            return jax.lax.sort(wide).sum(axis=(1, 2))

        pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (pages + 700 * 2**20,) * 2)
        assert batches.run(program).shape == (rows,)
        return {"batches": len(batches), "tokens": batches.batch_tokens}


    run_script(fill, ["--rows", "16"])
"""


@pytest.mark.nightly
@pytest.mark.parametrize("width", [18, 23])
def test_running_out_of_memory(width, tmp_path):
    """16 rows of 64 MiB are halved until they fit 700 MiB; one row of 2 GiB is not possible."""
    file = tmp_path / "fill.py"
    file.write_text(textwrap.dedent(PROGRAM).replace("WIDTH", str(width)))
    usual = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, str(file)], check=False, capture_output=True, text=True, env=usual
    )
    if width == 18:
        assert done.returncode == 0, done.stderr
        assert '"batches": 1' not in done.stdout
    else:
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "out of memory" in done.stderr
