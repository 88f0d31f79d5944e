"""The tokenizer of the demo model, learnt from text and written as files of a checkpoint."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from attention.files import write_json

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"


def build_tokenizer(texts: Sequence[str], vocab_size: int = 640) -> Tokenizer:
    """Byte-pair encoding of words with their space and of single digits; bytes for all else."""
    words = Regex(r"\d| ?\p{L}+| ?[^\s\p{L}\d]|\s")
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Split(words, "isolated")
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=100,
            initial_alphabet=list(string.printable[:95]),
            show_progress=False,
        ),
    )
    # Bytes become ordinary tokens: as special ones, a text that spells "<0x41>" would be an A.
    learnt = json.loads(learner.to_str())["model"]
    tokens = [UNKNOWN, BEGIN, END, *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += sorted(learnt["vocab"], key=learnt["vocab"].get)
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = [tuple(pair) for pair in learnt["merges"]]
    built = Tokenizer(models.BPE(vocab, merges, unk_token=UNKNOWN, byte_fallback=True))
    built.pre_tokenizer = learner.pre_tokenizer
    built.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    built.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, vocab[BEGIN])]
    )
    built.add_special_tokens([AddedToken(t, normalized=False) for t in (UNKNOWN, BEGIN, END)])
    return built


def save_tokenizer(built: Tokenizer, folder: Path) -> PreTrainedTokenizerBase:
    """Write the files of a checkpoint that concern its tokenizer, and read them back."""
    special = {"bos_token": BEGIN, "eos_token": END, "unk_token": UNKNOWN}
    files = {
        "special_tokens_map.json": special,
        "tokenizer_config.json": {
            **special,
            "add_bos_token": True,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 4096,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
        "config.json": {
            "model_type": "llama",
            "bos_token_id": built.token_to_id(BEGIN),
            "eos_token_id": built.token_to_id(END),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    built.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        write_json(folder / name, content)
    return AutoTokenizer.from_pretrained(folder)
