"""One folder for compiled programs, and what the user has set stays."""

import concurrent.futures
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from attention.errors import InputError
from attention.files import make_once, new_folder

PROGRAM = """
import json, os, sys
{before}
from attention.files import cache_folder, use_compilation_cache
assert ("jax" in sys.modules) == {imported}
use_compilation_cache()
import jax
seconds = jax.config.jax_persistent_cache_min_compile_time_secs
print(json.dumps([str(cache_folder()), jax.config.jax_compilation_cache_dir, seconds]))
"""


def found(before="", imported=False, **variables):
    kept = {name: text for name, text in os.environ.items() if not name.startswith("JAX_")}
    program = PROGRAM.format(before=before, imported=imported)
    out = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "JAX_PLATFORMS": "cpu", **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return json.loads(out)


@pytest.mark.quick("")
@pytest.mark.parametrize("before", ["", "import jax"])
def test_programs_are_kept_in_the_cache_folder(before):
    imported = bool(before)
    given = found(before, imported, XDG_CACHE_HOME="/somewhere")
    assert given == ["/somewhere/tale-jax", "/somewhere/tale-jax/programs", 0.2]
    usual = str(Path.home() / ".cache" / "tale-jax")
    assert found(before, imported, XDG_CACHE_HOME="")[:2] == [usual, f"{usual}/programs"]


@pytest.mark.nightly
def test_what_is_set_already_stays():
    mine = {"JAX_COMPILATION_CACHE_DIR": "/mine", "XDG_CACHE_HOME": "/somewhere"}
    for before in ("", "import jax"):
        assert found(before, bool(before), **mine)[1] == "/mine"
    mine["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "7"
    assert found(**mine)[1:] == ["/mine", 7.0]
    config = "import jax; jax.config.update('jax_compilation_cache_dir', '/configured')"
    assert found(config, True, XDG_CACHE_HOME="/somewhere")[1] == "/configured"


def test_what_two_make_at_once_is_made_once(tmp_path):
    target, made = tmp_path / "cache" / "thing", []
    begun = threading.Event()

    def make():
        made.append(1)
        begun.set()
        time.sleep(0.05)  # the other one comes meanwhile
        with new_folder(target) as scratch:
            (scratch / "whole").write_text("7")

    def ask():
        make_once(target, (target / "whole").is_file, make)
        return (target / "whole").read_text()

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask)
        assert begun.wait(10)
        others = [pool.submit(ask) for _ in range(2)]
        assert {each.result(10) for each in (first, *others)} == {"7"}
    assert made == [1]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        make_once(tmp_path / "file" / "thing", lambda: False, make)
