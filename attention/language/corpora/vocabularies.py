"""Tokenizers: trained on a corpus, told apart by a hash, and what a text is as token ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from attention.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
"""Special tokens of trained tokenizers, with the ids 0 to 4, as RoBERTa has the first four."""
LEAST = 256 + len(SPECIAL)


def train_tokenizer(
    documents: Iterable[str], size: int, *, closed: bool
) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE, whose tokens can spell any text.

    Args:
        documents: text to train on; equal documents in equal order give the same tokenizer.
        size: number of tokens, special ones among them; there are fewer if the text has no more
            pairs.
        closed: whether a text that is encoded begins with ``<s>`` and ends with ``</s>``, as
            encoders read it; otherwise it begins with ``<s>`` alone.

    Raises:
        InputError: the size is below 261, or there is no text.

    Source: Sennrich, Haddow and Birch 2016, arXiv 1508.07909; on bytes, Radford et al. 2019.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if size < LEAST:
        raise InputError(f"a vocabulary has at least {LEAST} tokens (--vocabulary), not {size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        special_tokens=[*SPECIAL.values()],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    count = 0

    def counted() -> Iterator[str]:
        nonlocal count
        for count, text in enumerate(documents, start=1):  # noqa: B007 - it is read below
            yield text

    tokenizer.train_from_iterator(counted(), trainer)
    if not count:
        raise InputError("no document to train a tokenizer on: the training split is empty")
    ends = f" {SPECIAL['eos_token']}" if closed else ""
    pair = f" {SPECIAL['eos_token']} $B:1{ends}" if closed else " $B:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL['bos_token']} $A{ends}",
        pair=f"{SPECIAL['bos_token']} $A{pair}",
        special_tokens=[(word, i) for i, word in enumerate(SPECIAL.values())],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        **SPECIAL,
    )


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash a tokenizer: its vocabulary, its rules and its special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules: dict[str, Any] = (
        json.loads(backend.to_str()) if backend is not None else tokenizer.get_vocab()
    )
    for passing in ("padding", "truncation"):  # of the last call
        if backend is not None:
            rules[passing] = None
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return hashlib.sha256(json.dumps([rules, special], sort_keys=True).encode()).hexdigest()


def encode_units(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Encode texts, each of which shall be told from its neighbours in a stream.

    A text begins with the tokenizer's token for a beginning, or that for an end if it has no other,
    and ends with the one for an end, if that is another one.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        found = [each.ids for each in backend.encode_batch_fast(texts)]
    else:
        found = [list(tokenizer(text)["input_ids"]) for text in texts]
    ends = [x for x in (tokenizer.eos_token_id, tokenizer.sep_token_id) if isinstance(x, int)]
    starts = [x for x in (tokenizer.bos_token_id, tokenizer.cls_token_id) if isinstance(x, int)]
    first, last = [*starts, *ends][:1], ends[:1]
    if first == last:
        last = []
    return [
        [*([] if ids[:1] == first else first), *ids, *([] if ids[-1:] == last else last)]
        for ids in found
    ]


def special_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the special tokens, ascending."""
    return sorted({int(i) for i in tokenizer.all_special_ids})
