"""The language model inside a checkpoint that also sees images.

``Mistral3ForConditionalGeneration`` and its likes hold a language model, a vision tower and what
joins the two.  The language model alone is what this library runs, so the rest is left unread, and
what is saved again is the language model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attention.transformer.huggingface.families import FAMILIES, HfConfig
from attention.transformer.huggingface.matching import Stored

_OF_VISION = re.compile(
    r"(model\.)?(vision_tower|vision_model|multi_modal_projector|vision_projection)\."
)
_RENAMED = (
    (re.compile(r"^(model\.)?language_model\.(model\.)?(?!lm_head\.)"), "model."),
    (re.compile(r"^(model\.)?language_model\.lm_head\."), "lm_head."),
)
_SHARED = ("dtype", "torch_dtype", "tie_word_embeddings")  # what the whole says for its parts


def text_config(hf: HfConfig) -> HfConfig:
    """The ``config.json`` of the language model; ``hf`` itself if there is nothing else.

    Raises:
        InputError: the language model is of no known family.
    """
    text = hf.get("text_config")
    if not isinstance(text, Mapping):
        return hf
    model_type = str(text.get("model_type", hf.get("model_type")))
    family = FAMILIES.pick(model_type)
    return {
        **{name: hf[name] for name in _SHARED if name in hf},
        **text,
        "model_type": model_type,
        "architectures": [family.class_prefix + family.bare_lm],
    }


def text_tensors(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors of the language model, by the names that they have where it stands alone."""
    found: dict[str, Any] = {}
    for name, tensor in stored.items():
        if _OF_VISION.match(name):
            continue
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        found[name] = tensor
    return found
