"""The model card of an export: what the model is, what was measured, how it is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attention import files
from attention.errors import InputError
from tale_jax import __version__
from tale_jax.formats.export import Export
from tale_jax.runs import layer_list, p_text, percent

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def model_card(export: Export, name: str) -> str:
    """The text of README.md.

    Args:
        export: the model.
        name: under which it is loaded: a folder, or ``USER/NAME`` on the hub.
    """
    return "\n".join([*_front(export), *_about(export), *_loading(export, name), ""])


def _front(export: Export) -> Iterator[str]:
    """The block of YAML that the hub reads; what is not known is left out."""
    import yaml  # few commands need it

    model, licence = export.run.settings["model"], _licence(export.folder)
    values: dict[str, Any] = {} if licence is None else {"license": licence}
    if HUB_NAME.fullmatch(model) and not Path(model).exists():
        values["base_model"] = model
    values["tags"] = ["tale-jax", "layer-pruning"]
    if not export.has_halves:
        values |= {"library_name": "transformers"}
    yield f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True).strip()}\n---"


def _licence(folder: Path) -> str | None:
    """The licence that the base model's own card names."""
    import yaml

    try:
        text = files.read_bytes(folder / "README.md").decode(errors="replace")
        found = yaml.safe_load(match[1]) if (match := FRONT.match(text)) else {}
    except (InputError, OSError, yaml.YAMLError, RecursionError, ValueError):
        return None
    named = found.get("license") if isinstance(found, dict) else None
    return named if isinstance(named, str) else None


def _about(export: Export) -> Iterator[str]:
    """What the model is, and what was measured."""
    summary, settings, chosen = export.run.summary, export.run.settings, export.measured
    full, dropped = summary["baseline"], layer_list(export.dropped)
    licence = _licence(export.folder)
    yield f"# {Path(settings['model']).name} without layers {dropped}"
    yield ""
    yield (
        f"Made by tale-jax {__version__}: greedy layer elimination for a task, without retraining "
        "(TELL-TALE, arXiv 2510.22767)."
    )
    yield ""
    yield (
        f"- Model: `{settings['model']}` (revision {settings['revision'] or 'unspecified'}, "
        f"fingerprint {settings['fingerprint']}), {summary['num_layers']} layers"
    )
    yield (
        f"- Licence of that model: {licence or 'its card names none; look there before use'}; "
        "it holds for this one too"
    )
    yield f"- Layers dropped (0-based): {dropped}"
    yield f"- Layers kept, in order: {layer_list(export.kept)}"
    yield f"- Picked as: {export.pick}"
    yield (
        f"- Task: `{settings['task']}`, {summary['examples']} examples, protocol "
        f"{summary['protocol']}, {settings['shots']} shots"
    )
    yield (
        f"- Run: `{export.run.directory.name}`, epsilon {summary['epsilon']}, floor "
        f"{summary['floor']}"
    )
    yield (
        f"- Accuracy on the examples searched on: {percent(chosen)} (full model {percent(full)}); "
        "optimistic, because the layers were chosen on them"
    )
    if chosen.get("test") is not None:
        test = chosen["test"]
        p_value = f", exact McNemar {p_text(test['p_value'])}" if "p_value" in test else ""
        yield (
            f"- Accuracy on held-out examples: {percent(test)} (full model "
            f"{percent(full['test'])}{p_value}), with 95 % Wilson intervals"
        )
    else:
        yield "- Accuracy on held-out examples: not measured"
    yield "- Other tasks were not the aim: measure yours before you use it"
    if export.has_halves:
        yield "- Some layers lack a half (`layer_halves` in config.json): only tale-jax loads it"


def _loading(export: Export, name: str) -> Iterator[str]:
    """How the model is loaded, and how each line was checked."""
    yield "\n## Loading it\n"
    if export.has_halves or export.format == "tale":
        yield f"```sh\ntale generate --model {name} --prompt 'Once'\n```"
        return
    yield "transformers (tests of tale-jax load exports in it, and compare the logits):\n"
    yield "```python\nfrom transformers import AutoModelForCausalLM\n"
    yield f'model = AutoModelForCausalLM.from_pretrained("{name}")\n```\n'
    yield "Not run by tale-jax; the lines are those of the programs' own documentation:\n"
    yield "```sh"
    yield f"vllm serve {name}                          # vLLM"
    yield f"mlx_lm.generate --model {name} --prompt Hi # MLX, mlx-lm"
    yield "```\n"
    yield "llama.cpp reads the file that `tale export --format gguf --out model.gguf` writes (tests"
    yield "of tale-jax read it back by transformers; llama.cpp itself is not run):\n"
    yield "```sh\nllama-cli -m model.gguf -p Hi\n```"
