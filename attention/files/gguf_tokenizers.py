"""The tokenizer in the metadata of a GGUF file: reading and writing it."""

from __future__ import annotations

import json
import re
from typing import Any

import tokenizers
import transformers
from tokenizers import Regex, Tokenizer, pre_tokenizers, processors

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
# Vocabularies of bytes in which each digit is one word; transformers has no rule for them.
DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
STARTS = ("llama", "gemma")  # these begin with a start token unless the file says otherwise
LLAMA3 = ("llama3", "llama-v3", "llama-bpe")


def gguf_tokenizer(header: GgufHeader) -> transformers.PreTrainedTokenizerFast:
    """Build the tokenizer of a GGUF file, with its chat template.

    Raises:
        InputError: the file has no tokenizer, or one of an unknown kind.
    """
    # Only this file needs this module, which older versions of transformers lack.
    from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer

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


NORMAL, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 3, 4, 5, 6  # token types of GGUF
BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
# Rules that cut a text before a vocabulary of bytes: a part of the rule, and its name in GGUF.
CUTS = {
    r"\p{N}{1,3}": "llama-bpe",
    r"\p{N}| ?[^\s": "qwen2",
    '"individual_digits":true': "smollm",
    r'"Regex":"\\p{N}"': "smollm",
}


def tokenizer_metadata(
    tokenizer: transformers.PreTrainedTokenizerBase, vocab_size: int
) -> dict[str, Any]:
    """Describe a tokenizer in the metadata of a GGUF file; the inverse of `gguf_tokenizer`.

    Args:
        tokenizer: uses byte-pair encoding, byte-level or like sentencepiece.
        vocab_size: rows of the embedding; tokens that the tokenizer lacks are marked as unused.

    Raises:
        InputError: the tokenizer is of another kind.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    about = {} if backend is None else json.loads(backend.to_str())
    model = about.get("model") or {}
    if model.get("type") != "BPE":
        raise InputError("GGUF is written for tokenizers of byte pairs alone, and this is another")
    pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    if any(len(pair) != 2 or " " in "".join(pair) for pair in pairs):
        raise InputError("GGUF has no words for a tokenizer whose pieces have spaces in them")
    added = {token["id"]: token for token in about.get("added_tokens", ())}
    names = {i: name for name, i in tokenizer.get_vocab().items()}
    tokens = [names.get(i, f"[PAD{i}]") for i in range(vocab_size)]
    kinds = [_kind(i, names, added) for i in range(vocab_size)]
    byte_level = "ByteLevel" in json.dumps([about.get("decoder"), about.get("pre_tokenizer")])
    found: dict[str, Any] = {
        "model": "gpt2" if byte_level else "llama",
        "tokens": tokens,
        "token_type": kinds,
        "merges": [" ".join(pair) for pair in pairs],
    }
    if byte_level:
        rule = json.dumps(about.get("pre_tokenizer"), separators=(",", ":")).replace("\\\\", "\\")
        found["pre"] = next((name for cut, name in CUTS.items() if cut in rule), "gpt-2")
    else:
        found["scores"] = [-float(i) for i in range(vocab_size)]
        found["add_space_prefix"] = tokenizer.tokenize("a")[:1] != ["a"]
    ids = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
    for name, short in ids.items():
        number = getattr(tokenizer, f"{short}_token_id")
        if number is not None and number < vocab_size:  # added tokens have no row
            found[f"{name}_token_id"] = int(number)
    framed = tokenizer("a")["input_ids"]
    found["add_bos_token"] = framed[:1] == [tokenizer.bos_token_id]
    found["add_eos_token"] = framed[-1:] == [tokenizer.eos_token_id]
    written = {f"tokenizer.ggml.{name}": value for name, value in found.items()}
    if isinstance(template := getattr(tokenizer, "chat_template", None), str):
        written["tokenizer.chat_template"] = template
    return written


def _kind(i: int, names: dict[int, str], added: dict[int, dict[str, Any]]) -> int:
    if i not in names:
        return UNUSED
    if i in added:
        return CONTROL if added[i]["special"] else USER_DEFINED
    return BYTE if BYTE_TOKEN.fullmatch(names[i]) else NORMAL
