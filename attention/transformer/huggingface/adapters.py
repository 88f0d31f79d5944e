"""PEFT adapters: a folder of low-rank changes, merged into the model that they were trained for.

    W' = W + s · B A        s = α / r, or α / √r if the rank is stabilised

The merged model is a checkpoint folder in the cache: tensors that stay are links to the base's
files, the others are written once.  Whatever opens a folder opens it.

Sources: Hu et al. 2021, arXiv 2106.09685; Kalajdzievski 2023, arXiv 2312.03732 (stabilised rank).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from flax.traverse_util import flatten_dict

from attention import files
from attention.errors import InputError
from attention.limits import in_time
from attention.transformer.huggingface.config import from_hf
from attention.transformer.huggingface.families import Row, tensor_table
from attention.transformer.huggingface.matching import wanted_tensors
from attention.transformer.huggingface.safetensor_files import (
    CONFIG,
    INDEX,
    SINGLE,
    StoredTensor,
    stored_tensors,
    tensors_of_file,
    write_tensors,
)
from attention.transformer.model import abstract_params

ADAPTER = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
# Settings of kinds of LoRA that are no plain sum.
OTHER_KINDS = (
    "use_dora lora_bias layer_replication trainable_token_indices target_parameters use_qalora "
    "alora_invocation_tokens arrow_config use_bdlora kasa_config velora_config monteclora_config"
).split()
_SHARD_BYTES = 10**9
_PAIR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight")


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, and no model."""
    adapter, *models = ((folder / name).is_file() for name in (ADAPTER, SINGLE, INDEX))
    return adapter and not any(models)


class About(TypedDict, total=False):
    """The types in ``adapter_config.json``; what they mean is checked where they are used."""

    base_model_name_or_path: str | None
    revision: str | None
    r: int
    lora_alpha: float
    rank_pattern: dict[str, int] | None
    alpha_pattern: dict[str, float] | None
    layers_to_transform: int | list[int] | None
    target_modules: str | list[str] | None
    exclude_modules: str | list[str] | None


def _about(folder: Path) -> dict[str, Any]:
    about = files.read_json(folder / ADAPTER)
    files.check_shape(about, About, folder / ADAPTER)
    return about


def base_of(folder: Path) -> tuple[str, str | None]:
    """The model that an adapter belongs to, and its revision.

    Raises:
        InputError: its config does not say.
    """
    about = _about(folder)
    name = about.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise InputError(f"{folder / ADAPTER}: names no base_model_name_or_path")
    if not Path(name).exists() and (folder / name).is_dir():
        name = str(folder / name)
    return name, about.get("revision")


def merged_adapter(folder: Path, base: Path) -> Path:
    """The checkpoint folder of a base model with an adapter merged into it, in the cache.

    Args:
        folder: of the adapter.
        base: the base model's checkpoint folder.

    Raises:
        InputError: an adapter of a kind that is no plain sum, or one that does not fit the base in
            full: a module that one of them has and the other has not, a wrong shape or rank.
    """
    about = _about(folder)
    _check_kind(about, folder)
    if not (base / CONFIG).is_file():
        raise InputError(f"{folder}: its base {base} is no folder, and adapters need one")
    target = files.cache_folder() / f"adapters/{folder.resolve().name}-{_digest(folder, base)}"
    files.make_once(target, (target / CONFIG).is_file, lambda: _merge(folder, about, base, target))
    return target


def _merge(folder: Path, about: Mapping[str, Any], base: Path, target: Path) -> None:
    """Write the base with the adapter in it."""
    stored = stored_tensors(base)
    try:
        with in_time(f"{folder / ADAPTER}: matching its names"):  # they may be regular expressions
            changes = _changes(folder, about, base, stored)
    except re.error as error:
        raise InputError(f"{folder / ADAPTER}: not a regular expression: {error}") from None
    with files.new_folder(target) as scratch:
        for source in (base, folder):  # the adapter's own tokenizer comes last, and stays
            for file in source.iterdir():
                if file.is_file() and file.suffix in (".json", ".jinja", ".txt", ".model"):
                    (scratch / file.name).write_bytes(file.read_bytes())
        (scratch / INDEX).unlink(missing_ok=True)
        merged = ((name, change.tensor()) for name, change in changes.items())
        write_tensors(scratch, merged, _SHARD_BYTES)
        _write_index(scratch, stored, changes)


@dataclasses.dataclass(frozen=True)
class Change:
    """What becomes of one tensor of the base.

    Attributes:
        base: the tensor, or None if it is replaced.
        pair: A ``[r, in]`` and B ``[out, r]``, or the tensor that replaces it.
        scale: s.
        transposed: the base's tensor is ``[in, out]``.
    """

    base: StoredTensor | None
    pair: tuple[StoredTensor, ...]
    scale: float = 1.0
    transposed: bool = False

    def tensor(self) -> np.ndarray:
        """The merged tensor, in the base's type."""
        if self.base is None:
            return self.pair[0].open()
        first, second = (np.asarray(each.open(), np.float32) for each in self.pair)
        change = self.scale * (second @ first)
        old = self.base.open()
        return (old.astype(np.float32) + (change.T if self.transposed else change)).astype(
            old.dtype
        )


def _check_kind(about: Mapping[str, Any], folder: Path) -> None:
    kind = about.get("peft_type")
    if kind != "LORA":
        raise InputError(f"{folder}: an adapter of the type {kind}; only LORA is merged")
    if others := [name for name in OTHER_KINDS if about.get(name)]:
        raise InputError(f"{folder}: {', '.join(others)} of LoRA cannot be merged here")
    start = about.get("init_lora_weights")
    if isinstance(start, str) and start not in ("gaussian", "eva", "orthogonal"):
        raise InputError(f"{folder}: init_lora_weights={start!r} changes the base; not handled")
    if not (folder / WEIGHTS).is_file():
        raise InputError(
            f"{folder}: no {WEIGHTS}; pickles can run code and are not read: save the adapter "
            "with safe_serialization=True"
        )


def _changes(
    folder: Path, about: Mapping[str, Any], base: Path, stored: Mapping[str, StoredTensor]
) -> dict[str, Change]:
    """What the adapter does, by the name of the base's tensor; problems are one error."""
    config = from_hf(files.read_json(base / CONFIG))
    names = tensor_table(config)
    known = {names.bare(name): name for name in stored}
    pairs: dict[str, dict[str, StoredTensor]] = {}
    changes: dict[str, Change] = {}
    problems: list[str] = []
    for name, tensor in tensors_of_file(folder / WEIGHTS).items():
        whole = name.removeprefix("base_model.model.").replace(".modules_to_save", "")
        if match := _PAIR.fullmatch(whole):
            pairs.setdefault(names.bare(match["module"]), {})[match["side"]] = tensor
        elif names.bare(whole) not in known:
            problems.append(f"{name} is not known")
        elif tensor.shape != stored[known[names.bare(whole)]].shape:
            problems.append(f"{name} has shape {tensor.shape}, not that of the base's tensor")
        else:
            changes[known[names.bare(whole)]] = Change(None, (tensor,))
    modules = _modules(
        wanted_tensors(config, names, flatten_dict(abstract_params(config), sep="/"))
    )
    targets = {names.bare(module) for module in modules if _targeted(module, about)}
    lacking = sorted(targets - pairs.keys())
    problems += [f"{module} is a target and lacks its adapter" for module in lacking]
    further = sorted(pairs.keys() & {*map(names.bare, modules)} - targets)
    problems += [f"{module} is adapted and no target" for module in further]
    for module, sides in pairs.items():
        full = known.get(f"{module}.weight")
        if full is None or len(sides) != 2:
            problems.append(
                f"{module} is adapted, and the base lacks it" if full is None
                else f"{module} has one of lora_A and lora_B only"
            )  # fmt: skip
            continue
        transposed = modules.get(full.removesuffix(".weight"), False)
        change = Change(
            stored[full],
            (sides["A"], sides["B"]),
            _scale(module, about, sides["A"].shape[0], problems),
            transposed,
        )
        size = (sides["B"].shape[0], sides["A"].shape[1])
        if stored[full].shape != (size[::-1] if transposed else size):
            problems.append(f"{module} is of size {stored[full].shape}, its adapter of {size}")
        changes[full] = change
    if problems:
        more = f" (and {len(problems) - 4} more)" if len(problems) > 4 else ""
        raise InputError(f"{folder}: does not fit {base}: {'; '.join(problems[:4])}{more}")
    return changes


def _modules(wanted: Mapping[str, tuple[Row, object]]) -> dict[str, bool]:
    """The linear modules of a model, by their whole names; whether they are stored transposed."""
    return {
        name.removesuffix(".weight"): row.transform.startswith("conv1d")
        for name, (row, _) in wanted.items()
        if name.endswith(".weight") and row.paths[0].endswith("/kernel")
    }


def _targeted(module: str, about: Mapping[str, Any]) -> bool:
    """Whether the adapter's config says that a module is adapted."""
    layers = about.get("layers_to_transform")
    if layers is not None:
        number = re.search(r"\.(\d+)\.", module)
        wanted = [layers] if isinstance(layers, int) else layers
        if number is None or int(number[1]) not in wanted:
            return False
    if _named(module, about.get("exclude_modules")):
        return False
    if about.get("target_modules") == "all-linear":
        return re.search(r"\.\d+\.", module) is not None
    return _named(module, about.get("target_modules"))


def _named(module: str, names: Any) -> bool:
    if isinstance(names, str):
        return re.fullmatch(names, module) is not None
    return any(module == name or module.endswith(f".{name}") for name in names or ())


def _scale(module: str, about: Mapping[str, Any], rank: int, problems: list[str]) -> float:
    """The factor of B A; a rank that is not the config's is a problem."""

    def setting(name: str, pattern: str) -> Any:
        for key, value in (about.get(pattern) or {}).items():
            if re.match(rf"(.*\.)?({key})$", module):
                return value
        return about.get(name, 8)

    wanted, alpha = setting("r", "rank_pattern"), setting("lora_alpha", "alpha_pattern")
    if rank != wanted:
        problems.append(f"{module} has an adapter of rank {rank}, its config says {wanted}")
    return alpha / (math.sqrt(rank) if about.get("use_rslora") else rank)


def _write_index(folder: Path, stored: Mapping[str, StoredTensor], changed: Iterable[str]) -> None:
    """Link the base's files under other names, and list where each tensor is."""
    if (folder / SINGLE).is_file():
        (folder / SINGLE).rename(folder / "merged.safetensors")
        where = dict.fromkeys(changed, "merged.safetensors")
    else:
        where = files.read_json(folder / INDEX)["weight_map"]
    every = sorted({tensor.file for tensor in stored.values()})
    names = {file: f"base-{number:05d}.safetensors" for number, file in enumerate(every, 1)}
    for file, name in names.items():
        (folder / name).symlink_to(file.resolve())
    where = {**{name: names[tensor.file] for name, tensor in stored.items()}, **where}
    files.write_json(folder / INDEX, {"metadata": {}, "weight_map": where})


def _digest(folder: Path, base: Path) -> str:
    """A hash of what is merged: both configs, and names, sizes and times of weights."""

    def parts() -> Iterator[str]:
        for place, config in ((folder, ADAPTER), (base, CONFIG)):
            yield (place / config).read_text(encoding="utf-8", errors="replace")
            for file in sorted(place.glob("*.safetensors")):
                about = file.stat()
                yield f"{file.resolve()} {about.st_size} {about.st_mtime_ns}"

    return hashlib.sha256("\n".join(parts()).encode()).hexdigest()[:16]
