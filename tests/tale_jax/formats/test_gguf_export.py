"""A search's model as a GGUF file."""

import gguf
import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.files import load_tokenizer
from attention.transformer import RopeScaling, Transformer, load_pretrained
from tale_jax import export, search

WORDS = 307


@pytest.fixture(scope="module")
def run(byte_tokenizer, write_model, tmp_path_factory, write_letters):
    """A search of a model with rotary positions as Llama 3 scales them, and a byte tokenizer."""
    root = tmp_path_factory.mktemp("gguf")
    write_model(root / "tiny", vocab_size=WORDS, rope_scaling=RopeScaling("llama3", 8.0))
    byte_tokenizer(WORDS).save_pretrained(root / "tiny")
    task = write_letters(root / "a.jsonl", 23, 1)
    how = {"quiet": True, "max_drops": 1, "epsilon": 1}
    search(str(root / "tiny"), task, root / "run", **how)
    search(str(root / "tiny"), task, root / "halves", granularity="sublayer", **how)
    return root / "run"


@pytest.mark.quick("gguf-f32-1e-05")
@pytest.mark.parametrize(("form", "tolerance"), [("gguf", 2e-2), ("gguf-f32", 1e-5)])
def test_the_file_computes_what_the_checkpoint_does(run, tmp_path, form, tolerance):
    export(run, "bsba", tmp_path / "folder")
    found = export(run, "bsba", tmp_path / "m.gguf", format=form)
    tokens = np.random.default_rng(3).integers(0, WORDS, (2, 13))
    config, params = load_pretrained(tmp_path / "m.gguf")
    assert config.num_hidden_layers == len(found["kept"]) == 4
    ours = jax.jit(Transformer(config).apply)({"params": params}, tokens)
    config, params = load_pretrained(tmp_path / "folder")
    wanted = jax.jit(Transformer(config).apply)({"params": params}, tokens)
    np.testing.assert_allclose(ours, wanted, atol=tolerance * np.abs(wanted).max())
    text = "A cup, 37 pens."
    ids = [load_tokenizer(tmp_path / name)(text)["input_ids"] for name in ("m.gguf", "folder")]
    assert ids[0] == ids[1]


def test_the_library_of_the_format_reads_it(run, tmp_path):
    export(run, "bsba", tmp_path / "m.gguf", format="gguf")
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    assert reader.fields["llama.block_count"].contents() == 4
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert kinds["blk.3.ffn_up.weight"] == "F16"
    assert kinds["output_norm.weight"] == kinds["rope_freqs.weight"] == "F32"


def test_half_layers_are_refused(run, tmp_path):
    with pytest.raises(InputError, match="only whole layers export to gguf"):
        export(run.parent / "halves", "bsba", tmp_path / "m.gguf", format="gguf")
    assert not list(tmp_path.iterdir())
