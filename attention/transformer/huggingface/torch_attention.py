"""SSA outside JAX: a checkpoint with SSA as a model of transformers, in torch.

    from attention.transformer import load_in_torch

    model = load_in_torch("runs/ssa")

Models of transformers look up their attention by name.  Here SSA is added to that list, and the
checkpoint's parameters n and b to the attention of each layer.  No code comes with the checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention.errors import InputError
from attention.normalizers import NORMALIZERS
from attention.transformer.huggingface.config import OWN_TYPE, from_hf
from attention.transformer.huggingface.families import FAMILIES
from attention.transformer.huggingface.safetensor_files import CONFIG, stored_tensors
from attention.transformer.huggingface.sources import checkpoint_folder, config_of

if TYPE_CHECKING:
    import torch  # pyright: ignore[reportMissingImports]

NAME = "scaled_signed_averaging"
HELD = "normalizer"  # of an attention module: its learned parameters, by name, as stored


@dataclasses.dataclass(frozen=True)
class Fixed:
    """What is not learned: values of parameters, and how the others are stored."""

    values: Mapping[str, float]
    domains: Mapping[str, str]


def load_in_torch(path_or_id: str | Path) -> Any:
    """Load a checkpoint with SSA as a model of transformers, in evaluation mode and float32.

    Args:
        path_or_id: what ``save_pretrained``, ``attn pretrain`` or ``attn convert`` wrote.

    Raises:
        InputError: there is no such checkpoint, its normalizer is not SSA, or layers lack a half.
    """
    import torch  # pyright: ignore[reportMissingImports]
    import transformers

    folder = checkpoint_folder(path_or_id)
    hf = dict(config_of(folder))
    config = from_hf(hf)
    known = config.normalizer.partition(":")[0] == "ssa" and "/" not in config.normalizer
    if not known or "cap=" in config.scoring:
        raise InputError(f"{folder / CONFIG}: the normalizer is {config.normalizer}, not ssa")
    if config.layer_halves is not None:
        raise InputError(f"{folder / CONFIG}: layers lack a half, which transformers has not")
    hf = {key: value for key, value in hf.items() if key != "normalizer"}
    hf["model_type"] = str(hf["model_type"]).removeprefix(OWN_TYPE)
    register_attention()
    about: Any = transformers.CONFIG_MAPPING[hf["model_type"]].from_dict(hf)
    kind = getattr(transformers, hf["architectures"][0])
    model = kind._from_config(about, attn_implementation=NAME).to(torch.float32)
    stored = {
        name: torch.from_numpy(np.array(tensor.open(), np.float32))
        for name, tensor in stored_tensors(folder).items()
    }
    _add_parameters(model, config, stored)
    missing, unknown = model.load_state_dict(stored, strict=False)
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    if unknown or set(missing) - tied:
        names = ", ".join([*unknown, *sorted(set(missing) - tied)])
        raise InputError(f"{folder}: tensors do not match the model: {names}")
    model.tie_weights()
    return model.eval()


def register_attention() -> None:
    """Add SSA to the attention functions of transformers, under ``NAME``."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, signed_attention)
    AttentionMaskInterface.register(NAME, eager_mask)


def signed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **rest: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute attention with ``softmax(n sgn(s) log(1 + b|s|))``, masked behind the transform.

    Args:
        module: attention of a layer, to which ``load_in_torch`` added n and b.
        query: ``[B, N, T, H]``.
        key: ``[B, K, S, H]``.
        value: ``[B, K, S, H]``.
        attention_mask: added to scores by other functions, ``[B, 1, T, S]``: below 0 where a key is
            not seen.
        scaling: of scores; None: 1/sqrt(H).
        dropout: share of the weights that become zero in training.
        rest: of other functions.

    Returns:
        The output ``[B, T, N, H]``, and the weights.
    """
    import torch  # pyright: ignore[reportMissingImports]

    del rest
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query, key.transpose(2, 3)).float() * scale
    n, b = (_value(module, name, torch) for name in ("n", "b"))
    size = scores.abs()
    logits = torch.where(size > 0, n * scores.sign() * torch.log1p(b * size), n * b * scores)
    if attention_mask is not None:
        seen = attention_mask[..., : key.shape[2]] >= 0
        logits = logits.masked_fill(~seen, torch.finfo(logits.dtype).min)
        weights = torch.softmax(logits, dim=-1) * seen  # a row that sees nothing becomes zero
    else:
        weights = torch.softmax(logits, dim=-1)
    weights = torch.nn.functional.dropout(weights.to(value.dtype), dropout, module.training)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


def _value(module: Any, name: str, torch: Any) -> Any:
    """The effective value of a parameter: a number, or ``[N, 1, 1]`` with one a head."""
    fixed: Fixed = module.normalizer_settings
    if name in fixed.values:
        return fixed.values[name]
    functions: dict[str, Callable[[Any], Any]] = {
        "raw": lambda x: x,
        "exp": torch.exp,
        "1+softplus": lambda x: 1 + torch.nn.functional.softplus(x),
        "1+sigmoid": lambda x: 1 + torch.sigmoid(x),
    }
    held = getattr(module, HELD) if hasattr(module, HELD) else module.normalizer_shared[0]
    value = functions[fixed.domains[name]](held[name])
    return value[:, None, None] if value.ndim else value


def _add_parameters(model: Any, config: Any, stored: Mapping[str, Any]) -> None:
    """Give the attention of each layer the parameters that the checkpoint has for it."""
    import torch  # pyright: ignore[reportMissingImports]

    row = NORMALIZERS.pick(config.normalizer)
    fixed = Fixed(
        {name: p.value for name, p in row.parameters.items() if not p.learned},
        {name: p.domain for name, p in row.parameters.items()},
    )
    table = FAMILIES.pick(config.family).tensors
    shared = None
    if row.learns and row.per == "model":
        shared = _held(torch, row, stored, f"{table.prefix}{HELD}")
        model.get_submodule(table.prefix.rstrip(".")).add_module(HELD, shared)
    for layer in range(config.num_hidden_layers):
        name = f"{table.prefix}{table.attention.format(i=layer)}"
        module = model.get_submodule(name)
        module.normalizer_settings = fixed
        if shared is not None:
            module.normalizer_shared = (shared,)  # in a tuple, or torch would count it again
        elif row.learns:
            module.add_module(HELD, _held(torch, row, stored, f"{name}.{HELD}"))


def _held(torch: Any, row: Any, stored: Mapping[str, Any], name: str) -> Any:
    learned = [each for each, parameter in row.parameters.items() if parameter.learned]
    try:
        values = {each: torch.nn.Parameter(stored[f"{name}.{each}"].clone()) for each in learned}
    except KeyError as error:
        raise InputError(f"the checkpoint lacks {error}") from None
    return torch.nn.ParameterDict(values)
