"""Write the table of attributes that models of other classes compute with.

    python scripts/list_attributes.py

A ``config.json`` may have an attribute that its own class does not know and another class computes
with, such as a cap of scores in a Llama.  The table has the switches and factors among these: all
attributes that are true, false or a fraction in the configuration class of a language model of the
installed transformers, and that its modelling code reads.  Sizes and names are left out, for they
repeat what the own class says in its own words.  Settings of training and of initial values are
left out too.  Each has the values besides null at which it changes nothing.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto import modeling_auto

from attention.files import write_json

FILE = Path(__file__).parents[1] / "attention" / "transformer" / "huggingface" / "attributes.json"
HEADS = ("CAUSAL_LM", "MASKED_LM", "SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION")
OF_TRAINING = re.compile(
    "drop|_prob$|loss|coef|noise|init|std|std_dev|jitter|eps|fp32|float32|theta|use_cache"
    "|^is_(de|en)coder$|^add_cross_attention$|^time_step|average|aggregation|cell|answer|label|^tie_"
)
READ = re.compile(r'config\.([a-z_]\w*)|config, "(\w+)"')


def attributes() -> dict[str, list[Any]]:
    """The neutral values of every switch and factor, by name."""
    logging.disable(logging.WARNING)
    text = {
        name for head in HEADS for name in getattr(modeling_auto, f"MODEL_FOR_{head}_MAPPING_NAMES")
    }
    values: dict[str, list[Any]] = {}
    for model_type in sorted(text & {*transformers.CONFIG_MAPPING}):
        try:
            with warnings.catch_warnings(action="ignore"):
                found = transformers.CONFIG_MAPPING[model_type]().to_dict()
        except Exception:  # some have no defaults that their own checks accept
            continue
        for name, value in found.items():
            values.setdefault(name, []).append(value)
    known = {*transformers.PretrainedConfig().to_dict()}
    return {
        name: _neutral(given)
        for name, given in sorted(values.items())
        if name not in known
        and name in _read()
        and not OF_TRAINING.search(name)
        and any(isinstance(value, bool | float) for value in given)
        and not any(isinstance(value, str | list | dict) for value in given)
    }


def _neutral(values: list[Any]) -> list[Any]:
    """False for a switch; for a factor 0 or 1, if that is what all classes have."""
    given = {value for value in values if value is not None}
    if any(isinstance(value, bool) for value in given):
        return [False]
    return sorted(given) if len(given) == 1 and given <= {0, 1} else []


def _read() -> set[str]:
    """What the modelling code of transformers reads of a config."""
    if not _NAMES:
        for file in (Path(transformers.__file__).parent / "models").glob("*/modeling_*.py"):
            found = READ.findall(file.read_text(encoding="utf-8"))
            _NAMES.update(name for pair in found for name in pair if name)
    return _NAMES


_NAMES: set[str] = set()


def main() -> None:
    """Write the table."""
    write_json(FILE, {"transformers": transformers.__version__, "attributes": attributes()})
    print(f"{FILE}: {len(json.loads(FILE.read_text())['attributes'])} attributes")


if __name__ == "__main__":
    main()
