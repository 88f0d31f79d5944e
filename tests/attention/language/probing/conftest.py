"""A tiny decoder and a tiny encoder of random weights, and a folder of minimal pairs."""

import gzip
import json

import pytest
from tokenizers.processors import TemplateProcessing

from attention.language.probing import OpenedModel, open_model
from attention.transformer import TransformerConfig

ENCODER = {
    "family": "bert",
    "head": "masked_lm",
    "causal": False,
    "vocab_size": 57,
    "position_embedding": "learned",
    "norm": "layernorm",
    "norm_placement": "post",
    "final_norm": False,
    "gated_mlp": False,
}


def masked_tokenizer(letter_tokenizer):
    """The letters, with `<s>` in front, `</s>` behind, and a mask."""
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "<mask>", "pad_token": "<pad>"})
    ends = [("<s>", 1), ("</s>", 2)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A </s>", None, ends)
    return tokenizer


@pytest.fixture(scope="session")
def decoder_folder(write_model, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("decoder") / "model", num_hidden_layers=2)


@pytest.fixture(scope="session")
def decoder(decoder_folder) -> OpenedModel:
    return open_model(str(decoder_folder))


@pytest.fixture(scope="session")
def encoder(init_params, letter_tokenizer, tiny_config) -> OpenedModel:
    config: TransformerConfig = tiny_config(num_hidden_layers=2, **ENCODER)
    return OpenedModel("encoder", config, init_params(config), masked_tokenizer(letter_tokenizer))


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Two paradigms of BLiMP, one of which has a tie, and one of Zorro."""
    data = tmp_path_factory.mktemp("data")
    (data / "blimp").mkdir()
    (data / "zorro").mkdir()
    rows = [
        {"sentence_good": "ab cad", "sentence_bad": "ab cdd", "linguistics_term": "order"},
        {"sentence_good": "a bee", "sentence_bad": "a bee", "linguistics_term": "order"},
        {"sentence_good": "fed bad", "sentence_bad": "fed dab", "linguistics_term": "order"},
    ]
    text = "".join(json.dumps(row | {"pairID": str(7 * i)}) + "\n" for i, row in enumerate(rows))
    (data / "blimp" / "first.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    plain = json.dumps({"sentence_good": "if he did.", "sentence_bad": "if she did."})
    (data / "blimp" / "second.jsonl").write_text(plain + "\n")
    (data / "zorro" / "long-words-order_a.txt").write_text("dad a fed\na dad fed\nh g\ng h\n")
    return data
