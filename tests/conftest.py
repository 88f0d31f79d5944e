"""One strict world for all tests, and the tiny models that they share."""

import gc
import importlib.util
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
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.03")
# Where an operation comes from is not written into its program: tracing and lowering are quicker.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import jax
import numpy as np
import pytest
from hypothesis import settings
from tokenizers import (
    ByteLevelBPETokenizer,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast
from xdist.scheduler import LoadScopeScheduling

from attention import terminal
from attention.normalizers import NORMALIZERS
from attention.transformer import TransformerConfig, abstract_params, save_pretrained

jax.config.update("jax_numpy_rank_promotion", "raise")
# Tracing makes many small objects that live long; looking through them again and again is slow.
gc.set_threshold(50_000, 20, 20)
# A busy machine must not add a line to what a test reads: no wait is told of.
terminal.PATIENCE = 600.0

SHARED = Path(__file__).parents[2] / "shared"


class _Folders(LoadScopeScheduling):
    """What tests share is made in the folder of a package, or of a room of attention: they keep
    together, so that no two processes make it."""

    def _split_scope(self, nodeid: str) -> str:
        parts = nodeid.partition("::")[0].split("/")
        return "/".join(parts[: 3 if "attention" in parts else 2])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``--dist loadscope`` a scope is a folder."""
    return _Folders(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_configure(config):
    """By day a property is tried with a quarter of the examples of the night.

    A test with examples of its own number states it as a multiple of the default.
    """
    name = settings.get_current_profile_name()
    if name in ("default", "ci") and "not nightly" in config.getoption("markexpr"):
        usual = settings.get_profile(name)
        settings.register_profile("day", usual, max_examples=usual.max_examples // 4)
        settings.load_profile("day")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config, items):
    """Mark as nightly what `quick` does not name in a matrix of cases."""
    unseen = {}
    for item in items:
        quick = item.get_closest_marker("quick")
        if quick is None:
            continue
        unseen.setdefault((item.path, item.originalname), set(quick.args)).discard(item.callspec.id)
        if item.callspec.id not in quick.args:
            item.add_marker("nightly")
    if not any("::" in word for word in config.args):  # else one case may be asked for alone
        wrong = {f"{path.name}::{name}": ids for (path, name), ids in unseen.items() if ids}
        if wrong:
            raise pytest.UsageError(f"quick names cases that are not there: {wrong}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real models and data; a checkout without them skips the tests that ask for them."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no ../shared/data")
    return SHARED / "data"


def _writable_types():
    """Quantisation types of GGUF files that the package can write; it only reads the others."""
    import gguf  # few tests ask for it

    def writable(kind):
        try:
            gguf.quants.quantize(np.zeros((1, 256), np.float32), kind)
        except NotImplementedError:  # how the package says so
            return False
        return True

    return [kind for kind in gguf.GGMLQuantizationType if writable(kind)]


@pytest.fixture(scope="session")
def writable_types():
    return _writable_types()


def pytest_generate_tests(metafunc):
    """``writable_type``: one test each."""
    if "writable_type" in metafunc.fixturenames:
        types = _writable_types()
        metafunc.parametrize("writable_type", types, ids=[kind.name for kind in types])


def _load(name):
    """A module that lies beside this file."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAULTY = _load("faulty_server")


@pytest.fixture(scope="session")
def faulty():
    """The local server that fails in every way, and its failures."""
    return FAULTY


@pytest.fixture(params=FAULTY.FAULTS)
def fault(request):
    """A way to fail, by its name."""
    return request.param


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDE0123456789 .?!:\n"

BYTE_TEXT = "True and not False is. Ann has: a cup, 37 pens and 1024 lines.\n  two  spaces\n" * 3

GPT2_FIELDS = {
    "family": "gpt2",
    "num_key_value_heads": None,
    "head_dim": None,
    "position_embedding": "learned",
    "norm": "layernorm",
    "attention_bias": True,
    "attention_out_bias": True,
    "mlp_bias": True,
    "gated_mlp": False,
    "hidden_act": "gelu",
    "tie_word_embeddings": True,
}


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """One token a letter, `<s>` in front."""
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>", *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def byte_tokenizer(words: int) -> PreTrainedTokenizerFast:
    """A vocabulary of byte pairs, with a chat template."""
    backend = ByteLevelBPETokenizer()
    backend.train_from_iterator(
        [BYTE_TEXT], words, show_progress=False, special_tokens=["<s>", "</s>"]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend._tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        chat_template="{{ 1 }}",
    )


def tiny_config(**changes) -> TransformerConfig:
    """A Llama of five layers."""
    fields = {
        "hidden_size": 22,
        "num_hidden_layers": 5,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 14,
        "intermediate_size": 31,
        "vocab_size": 53,
        "max_position_embeddings": 61,
        "initializer_range": 0.4,
    }
    return TransformerConfig(**{**fields, **changes})


def init_params(config: TransformerConfig, seed: int = 0):
    """Parameters as ``Transformer.init`` draws them, but for the numbers: nothing is compiled."""
    number = np.random.default_rng(seed)
    learned = NORMALIZERS.pick(config.normalizer).init(config.num_attention_heads)

    def draw(path, leaf):
        name = path[-1].key
        if name in learned:
            value = np.asarray(learned[name])
        elif name in ("kernel", "embedding"):
            value = number.normal(0, config.initializer_range, leaf.shape)
        else:
            value = float(name == "scale")
        return jax.numpy.asarray(np.broadcast_to(value, leaf.shape).astype(leaf.dtype))

    return jax.tree_util.tree_map_with_path(draw, abstract_params(config))


def write_model(folder: Path, seed: int = 0, **changes) -> Path:
    """A checkpoint of random weights with the letter tokenizer."""
    config = tiny_config(**changes)
    save_pretrained(folder, config, init_params(config, seed))
    letter_tokenizer().save_pretrained(folder)
    return folder


def write_encoder(folder: Path) -> Path:
    """A BERT of two layers."""
    config = TransformerConfig(
        family="bert",
        hidden_size=22,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=31,
        vocab_size=53,
        max_position_embeddings=61,
        type_vocab_size=2,
        position_embedding="learned",
        norm="layernorm",
        norm_placement="post",
        embedding_norm=True,
        final_norm=False,
        causal=False,
        gated_mlp=False,
        mlp_bias=True,
        attention_bias=True,
        attention_out_bias=True,
        hidden_act="gelu",
        head="masked_lm",
        tie_word_embeddings=True,
    )
    save_pretrained(folder, config, init_params(config))
    letter_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gpt2_fields():
    """Fields that turn the model of ``write_model`` into a GPT-2."""
    return GPT2_FIELDS


@pytest.fixture(name="letter_tokenizer", scope="session")
def letter_tokenizer_fixture():
    return letter_tokenizer


@pytest.fixture(name="byte_tokenizer", scope="session")
def byte_tokenizer_fixture():
    return byte_tokenizer


@pytest.fixture(name="tiny_config", scope="session")
def tiny_config_fixture():
    return tiny_config


@pytest.fixture(name="init_params", scope="session")
def init_params_fixture():
    return init_params


@pytest.fixture(name="write_model", scope="session")
def write_model_fixture():
    return write_model


@pytest.fixture(name="write_encoder", scope="session")
def write_encoder_fixture():
    return write_encoder
