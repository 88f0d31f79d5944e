"""Every family against torch, with random weights at small sizes: docs/guides/models.md's table.

Command: ``python scripts/check_families.py [--configs FILE] [--page docs/guides/models.md]``.  It
needs torch (the extra ``parity``).

Each family is compared at the defaults of its class, and at the ``config.json`` of public
checkpoints where a file gives them (``--configs``: a JSON object of configs by name).  Sizes are
reduced, everything else stays.  A difference is the largest over all logits at real tokens, of rows
with padding on either side and without, over the largest logit.
"""

from __future__ import annotations

import copy
import importlib.metadata
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from attention import transformer
from attention.command_line import Result, command, run_script
from attention.errors import InputError
from attention.terminal import plain_table
from attention.transformer.huggingface.families import FAMILIES

START, END = "<!-- families: written by scripts/check_families.py -->", "<!-- end -->"
HEAD, LAYERS, VOCABULARY, LENGTH, WINDOW = 16, 3, 29, 11, 5
# Attributes that say how large a model is, and what they become.
SIZES: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "n_embd", "dim"), 2 * HEAD),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads"), 2),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers"), LAYERS),
    **dict.fromkeys(("intermediate_size", "hidden_dim"), 53),
    "vocab_size": VOCABULARY,
    "head_dim": HEAD,
    "moe_intermediate_size": 16,
    "num_experts": 16,
    "embedding_size": 22,
}
TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "cls_token_id", "sep_token_id")
VISION = {"hidden_size": 16, "intermediate_size": 19, "num_hidden_layers": 1, "head_dim": 8}


class Compared(NamedTuple):
    """A model here and in torch.

    Attributes:
        family: its model type.
        difference: of the logits, as a share of the largest one.
    """

    family: str
    difference: float


def reduced(hf: Mapping[str, Any]) -> dict[str, Any]:
    """A ``config.json`` at small sizes; whatever else it says stays."""
    small = copy.deepcopy(dict(hf))
    text = small.get("text_config", small)
    heads, few = text.get("num_attention_heads"), text.get("num_key_value_heads")
    text.update({name: size for name, size in SIZES.items() if text.get(name) is not None})
    if "num_key_value_heads" in text:
        text["num_key_value_heads"] = 2 if few in (heads, None) else 1
    if text.get("sliding_window"):
        text["sliding_window"] = min(text["sliding_window"], WINDOW)
    if text.get("local_attention"):
        text["local_attention"] = 6
    if pattern := text.get("sliding_window_pattern"):
        text["num_hidden_layers"] = pattern + 1
    for name in ("rope_scaling", "rope_parameters"):
        for key, values in (text.get(name) or {}).items():
            if key.endswith("_factor") and isinstance(values, list):
                text[name][key] = values[: HEAD // 2]
    if isinstance(text.get("layer_types"), list):
        text["layer_types"] = text["layer_types"][: text["num_hidden_layers"]]
    text.update({name: 0 for name in TOKENS if text.get(name) is not None})
    if "vision_config" in small:
        small["vision_config"].update(VISION, num_attention_heads=2)
    return small


def defaults(model_type: str) -> dict[str, Any]:
    """The ``config.json`` of a family's plain language model, at the defaults of its class."""
    import transformers

    family = FAMILIES[model_type]
    full = transformers.CONFIG_MAPPING[model_type]().to_dict()
    return full | {"architectures": [family.class_prefix + family.bare_lm]}


def installed_configs() -> dict[str, dict[str, Any]]:
    """Every ``config.json`` with a model type that an installed package holds, by its path."""
    found = {}
    for distribution in importlib.metadata.distributions():
        for file in distribution.files or ():
            if file.name == "config.json":
                try:
                    config = json.loads(Path(str(file.locate())).read_text(encoding="utf-8"))
                except (OSError, ValueError):
                    continue
                if isinstance(config, dict) and "model_type" in config:
                    found[str(file)] = config
    return found


def compare(hf: Mapping[str, Any], seed: int = 0) -> Compared:
    """A random model of a ``config.json`` at small sizes, here and in torch.

    Args:
        hf: the decoded file.
        seed: of the weights and tokens.

    Raises:
        InputError: the model cannot be loaded.
    """
    import torch  # pyright: ignore[reportMissingImports]

    model, small = _torch_model(hf, seed), reduced(hf)
    tokens, where = _batch(seed)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config_file = Path(folder) / "config.json"
        small["torch_dtype"] = small["dtype"] = "float32"
        config_file.write_text(
            json.dumps(small), encoding="utf-8"
        )  # as it stands, not as rewritten
        config, params = transformer.load_pretrained(folder)
    positions = np.maximum(np.cumsum(where, 1) - 1, 0)
    if config.position_offset:
        positions = positions + config.position_offset
    with torch.no_grad():
        out = model(
            input_ids=torch.tensor(tokens),
            attention_mask=torch.tensor(where.astype(np.int64)),
            position_ids=torch.tensor(positions),
        )
    theirs = out.logits if "logits" in out else out.last_hidden_state
    ours = jax.jit(transformer.Transformer(config).apply)(
        {"params": params}, jnp.asarray(tokens), where=jnp.asarray(where)
    )
    expected, found = theirs.float().numpy()[where], np.asarray(ours)[where]
    return Compared(config.family, float(np.abs(found - expected).max() / np.abs(expected).max()))


def _torch_model(hf: Mapping[str, Any], seed: int) -> Any:
    """A model of torch with random parameters; scales of norms are about one.

    Raises:
        InputError: transformers has no such class.
    """
    import torch  # pyright: ignore[reportMissingImports]
    import transformers

    small = reduced(hf)
    name = (small.get("architectures") or [""])[0]
    kind = getattr(transformers, name, None)
    if kind is None:
        raise InputError(f"transformers has no class {name!r}")
    torch.manual_seed(seed)
    model = kind(kind.config_class.from_dict(copy.deepcopy(small))).eval().float()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            parameter.normal_(0, 0.2)
            if path.endswith("weight") and parameter.ndim == 1:
                parameter += 1
    return model


def _batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens, and which are real: rows without padding, and with it on the left and right."""
    tokens = np.random.default_rng(seed).integers(3, VOCABULARY, (4, LENGTH))
    where = np.ones((4, LENGTH), bool)
    where[1, :4] = where[2, 8:] = where[3, 1:] = False
    return tokens, where


@command
def main(configs: Path | None = None, page: Path | None = None) -> Result:
    """Compare every family with torch.

    Args:
        configs: a JSON object of further configs, by name
        page: a Markdown page whose table of families is written anew
    """
    given: dict[str, dict[str, Any]] = {}
    if configs is not None:
        given = json.loads(configs.read_text(encoding="utf-8"))
    cases = {f"defaults of {name}": defaults(name) for name in FAMILIES} | given
    found: dict[str, list[tuple[str, float]]] = {name: [] for name in FAMILIES}
    refused: dict[str, str] = {}
    for name, hf in cases.items():
        try:
            compared = compare(hf)
        except InputError as error:
            refused[name] = str(error)
            continue
        found[compared.family].append((name, compared.difference))
    rows = [
        [
            f"`{family}`",
            ", ".join("defaults" if n.startswith("defaults of ") else n for n, _ in pairs) or "-",
            f"{max((d for _, d in pairs), default=float('nan')):.1e}",
        ]
        for family, pairs in found.items()
    ]
    if page is not None:
        _write_table(page, rows)
    shown = plain_table(["family", "compared", "largest difference"], rows)
    return Result({"families": found, "refused": refused}, shown, *refused.values())


def _write_table(page: Path, rows: list[list[str]]) -> None:
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    lines = ["| `model_type` | compared | largest difference |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    page.write_text(f"{before}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    run_script(main)
