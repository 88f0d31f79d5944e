"""Tiny random models and a letter tokenizer, for tests of the commands."""

from pathlib import Path

import jax
import numpy as np
from tokenizers import (
    ByteLevelBPETokenizer,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from attention.normalizers import NORMALIZERS
from attention.transformer import TransformerConfig, abstract_params, save_pretrained

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDE0123456789 .?!:\n"

BYTE_TEXT = "True and not False is. Ann has: a cup, 37 pens and 1024 lines.\n  two  spaces\n" * 3

GPT2 = {
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
"""Fields that turn the model of `write_model` into a GPT-2."""


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
