"""One strict world for all tests."""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling tiny programs is what tests spend their time on; these flags make it ten times faster.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    # Later versions do not know this one, and XLA ends a process that gives an unknown flag.
    + version("jaxlib").startswith("0.10.") * " --xla_cpu_use_fusion_emitters=false",
)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

# Tests compile the same small programs again and again, in many processes.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "tale-jax-tests")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    """Mark as nightly what `quick` does not name in a matrix of cases."""
    for item in items:
        quick = item.get_closest_marker("quick")
        if quick and item.callspec.id not in quick.args:
            item.add_marker("nightly")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real models and data; a checkout without them skips the tests that ask for them."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no ../shared/data")
    return SHARED / "data"
