"""The tokenizer that a GGUF file carries in its metadata."""

from __future__ import annotations

from typing import Any

import tokenizers
import transformers
from tokenizers import Regex, Tokenizer, pre_tokenizers, processors
from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer

from attention.errors import InputError
from attention.files.gguf_files import GgufHeader

KEYS = {
    "model": "tokenizer_type",
    "pre": "pre_tokenizer_type",
    "tokens": "tokens",
    "scores": "scores",
    "token_type": "token_type",
    "merges": "merges",
    "bos_token_id": "bos_token_id",
    "eos_token_id": "eos_token_id",
    "unknown_token_id": "unk_token_id",
    "padding_token_id": "pad_token_id",
    "add_space_prefix": "add_prefix_space",
}
# Vocabularies of bytes in which each digit is a word of its own; transformers has no rule for them.
DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
STARTS = ("llama", "gemma")  # kinds that begin with a start token unless the file says otherwise
LLAMA3 = ("llama3", "llama-v3", "llama-bpe")


def gguf_tokenizer(header: GgufHeader) -> transformers.PreTrainedTokenizerFast:
    """Build the tokenizer of a GGUF file, with its chat template.

    Raises:
        InputError: it has none, or one of a kind that is not known.
    """
    about = {key: header.metadata.get(f"tokenizer.ggml.{key}") for key in KEYS}
    if not about["tokens"]:
        raise InputError("the GGUF file has no tokenizer")
    given = {KEYS[key]: value for key, value in about.items() if value is not None}
    try:
        backend, _ = convert_gguf_tokenizer(header.architecture, given)
    except Exception as error:  # the library raises whatever its parts raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"the tokenizer of the GGUF file cannot be read: {reason}") from error
    if about["pre"] in DIGITS:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
    names = {
        "bos_token": about["bos_token_id"],
        "eos_token": about["eos_token_id"],
        "unk_token": about["unknown_token_id"],
        "pad_token": about["padding_token_id"],
    }
    tokens = {name: about["tokens"][i] for name, i in names.items() if i is not None}
    _set_frame(backend, header.metadata, tokens)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        chat_template=header.metadata.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        **tokens,
    )


def _set_frame(backend: Tokenizer, metadata: dict[str, Any], tokens: dict[str, str]) -> None:
    """Put start and end tokens around a text where the file asks for them."""
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    starts = metadata.get("tokenizer.ggml.add_bos_token", kind in STARTS or pre in LLAMA3)
    ends = metadata.get("tokenizer.ggml.add_eos_token", False)
    first = [tokens["bos_token"]] if starts and "bos_token" in tokens else []
    last = [tokens["eos_token"]] if ends and "eos_token" in tokens else []
    special = [(token, backend.token_to_id(token)) for token in (*first, *last)]
    frame = processors.TemplateProcessing(
        single=[*first, "$A", *last],
        pair=[*first, "$A", *last, *(f"{token}:1" for token in first), "$B:1"],
        special_tokens=list(dict.fromkeys(special)),
    )
    byte_level = isinstance(backend.decoder, tokenizers.decoders.ByteLevel)
    own = [processors.ByteLevel(trim_offsets=False)] if byte_level else []
    backend.post_processor = processors.Sequence([*own, frame])
