"""Tiny random models of torch transformers, on disk; no downloads."""

import copy
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

from attention.transformer import Transformer

try:
    import torch
    import transformers

    torch.set_num_threads(1)  # what is small is not divided, and tests run side by side
except ImportError:  # the tests skip themselves
    torch = None

LABELS = 7
_TABLES = runpy.run_path(str(Path(__file__).with_name("torch_models.py")))
MODELS, HEADS = _TABLES["MODELS"], _TABLES["HEADS"]


def random_model(name: str, head: str = "language model", seed: int = 0):
    """A torch model of which every parameter is random, biases and scales too."""
    prefix, attributes = copy.deepcopy(MODELS[name])  # transformers writes into what it is given
    extra = {"num_labels": LABELS} if head in ("sequence", "token") else {}
    suffix = HEADS[head].get(prefix, HEADS[head][""])
    torch.manual_seed(seed)
    model_class = getattr(transformers, f"{prefix}{suffix}")
    model = model_class(model_class.config_class(**attributes, **extra)).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            parameter.normal_(0, 0.3)
            normal = prefix != "Nemotron"  # its scales are stored less one
            if path.endswith("weight") and any(word in path.lower() for word in ("norm", "ln_")):
                parameter += normal
    return model


def padded_batch():
    """Tokens, which are real, and positions: rows not, left and right padded; one very short."""
    rng = np.random.default_rng(5)
    length = 11
    tokens = rng.integers(3, _TABLES["V"], (5, length))
    where = np.ones((5, length), bool)
    where[1, :4] = where[2, 8:] = where[3, :2] = where[4, 1:] = False
    positions = np.maximum(np.cumsum(where, 1) - 1, 0)
    return tokens, where, positions


def torch_outputs(model, tokens, where, positions, **more):
    """Logits, or hidden states of a base model, as NumPy."""
    config = model.config
    if config.model_type == "roberta":
        positions = positions + config.pad_token_id + 1
    if not getattr(config, "is_encoder_decoder", False) and not hasattr(config, "type_vocab_size"):
        more["use_cache"] = False
    with torch.no_grad():
        out = model(
            input_ids=torch.tensor(tokens),
            attention_mask=torch.tensor(where.astype(np.int64)),
            position_ids=torch.tensor(positions),
            **{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in more.items()},
        )
    return (out.logits if "logits" in out else out.last_hidden_state).float().numpy()


def plain_apply(config, params, tokens, where, **arguments):
    return Transformer(config).apply({"params": params}, tokens, where=where, **arguments)


quick_apply = jax.jit(plain_apply, static_argnums=0)
# Compiled as users do: without optimisation, sums are taken in another order and round more.
careful_apply = jax.jit(
    plain_apply, static_argnums=0, compiler_options={"xla_backend_optimization_level": "3"}
)


def apply(config, params, tokens, where, **arguments):
    program = careful_apply if config.family == "modernbert" else quick_apply
    return program(config, params, tokens, where, **arguments)


@pytest.fixture(scope="session")
def make_model():
    return random_model


@pytest.fixture(scope="session")
def models():
    return MODELS


@pytest.fixture(scope="session")
def batch():
    return padded_batch()


@pytest.fixture(scope="session")
def theirs():
    return torch_outputs


@pytest.fixture(scope="session")
def ours():
    return apply


ABSOLUTE, RELATIVE = 1e-4, 5e-6  # of the largest logit; CONTRIBUTING.md
DIFFERENCES: dict[str, tuple[float, float]] = {}


@pytest.fixture
def agree(request):
    """Compare at real positions; the largest differences are printed at the end."""

    def check(found, expected, where=None):
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.shape == expected.shape
        if where is not None:
            found, expected = found[where], expected[where]
        assert np.isfinite(expected).all()
        largest = float(np.abs(expected).max())
        assert largest > 0.5, "too small for a difference to show"
        difference = float(np.abs(found - expected).max())
        name = request.node.name
        DIFFERENCES[name] = max((difference, largest), DIFFERENCES.get(name, (0.0, 0.0)))
        assert difference <= min(ABSOLUTE, RELATIVE * largest)

    return check


def pytest_terminal_summary(terminalreporter):
    if DIFFERENCES and terminalreporter.config.get_verbosity() >= 0:
        terminalreporter.section("largest difference to torch")
        for name, (difference, largest) in sorted(DIFFERENCES.items()):
            terminalreporter.write_line(f"{difference:.1e} of {largest:5.1f} {name}")
