"""The paper's search written plainly in torch: an example at a time, whole passes, no cache.

A Llama as a handful of functions; every candidate of every iteration is asked about every example.
What `scripts/benchmark_search.py` times this library against.  Needs the extra `parity`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # noqa: N812  # pyright: ignore[reportMissingImports]
from safetensors.torch import load_file


class Llama:
    """Weights of a Hugging Face Llama folder, in float32."""

    def __init__(self, folder: Path):
        c = json.loads((folder / "config.json").read_text())
        assert c["model_type"] == "llama" and c["tie_word_embeddings"]
        self.depth, self.eps = c["num_hidden_layers"], c["rms_norm_eps"]
        self.grouped = c["num_key_value_heads"] != c["num_attention_heads"]
        self.head_dim = c["head_dim"]
        stored = {name: w.float() for name, w in load_file(folder / "model.safetensors").items()}
        self.embed, self.norm = stored["model.embed_tokens.weight"], stored["model.norm.weight"]
        self.layers = [
            {
                name.removeprefix(f"model.layers.{i}.").removesuffix(".weight"): w
                for name, w in stored.items()
                if name.startswith(f"model.layers.{i}.")
            }
            for i in range(self.depth)
        ]
        places = torch.arange(c["max_position_embeddings"]).float()
        pairs = torch.arange(0, self.head_dim, 2).float() / self.head_dim
        angles = torch.outer(places, c["rope_theta"] ** -pairs)
        angles = torch.cat([angles, angles], dim=-1)
        self.cos, self.sin = angles.cos(), angles.sin()

    @torch.inference_mode()
    def logits(
        self, tokens: torch.Tensor, dropped: Container[object], last: int = 1
    ) -> torch.Tensor:
        """Logits ``[B, last, V]`` of the last tokens of ``[B, T]``, without the layers dropped."""
        batch, length = tokens.shape
        cos, sin = self.cos[:length], self.sin[:length]
        x = self.embed[tokens]

        def heads(y: torch.Tensor) -> torch.Tensor:
            return y.view(batch, length, -1, self.head_dim).transpose(1, 2)

        def rotate(y: torch.Tensor) -> torch.Tensor:
            first, second = y.chunk(2, dim=-1)
            return y * cos + torch.cat([-second, first], dim=-1) * sin

        for i, w in enumerate(self.layers):
            if i in dropped:
                continue
            y = F.rms_norm(x, x.shape[-1:], w["input_layernorm"], self.eps)
            q, k, v = (heads(F.linear(y, w[f"self_attn.{name}_proj"])) for name in "qkv")
            y = F.scaled_dot_product_attention(
                rotate(q), rotate(k), v, is_causal=True, enable_gqa=self.grouped
            )
            y = y.transpose(1, 2).reshape(batch, length, -1)
            x = x + F.linear(y, w["self_attn.o_proj"])
            y = F.rms_norm(x, x.shape[-1:], w["post_attention_layernorm"], self.eps)
            y = F.silu(F.linear(y, w["mlp.gate_proj"])) * F.linear(y, w["mlp.up_proj"])
            x = x + F.linear(y, w["mlp.down_proj"])
        x = F.rms_norm(x[:, -last:], x.shape[-1:], self.norm, self.eps)
        return F.linear(x, self.embed)


def choose(model: Llama, tokens: Sequence[int], letters: Sequence[int], dropped) -> int:
    """Index of the likeliest of one-token choices."""
    logits = model.logits(torch.tensor([tokens]), dropped)[0, -1]
    return int(logits[list(letters)].argmax())


def choose_text(model: Llama, choices: Sequence[tuple[Sequence[int], int]], dropped, *, batched):
    """Log-probability of each choice: its prompt with it, and how many of the tokens are its own.

    Args:
        model: that is asked.
        choices: the tokens of the prompt and the choice, and the number of those of the choice.
        dropped: layers that the model goes without.
        batched: all choices in one pass, shorter ones padded behind; else a pass for each.
    """
    if not batched:
        return [choose_text(model, [choice], dropped, batched=True)[0] for choice in choices]
    longest = max(len(tokens) for tokens, _ in choices)
    read = 1 + max(longest - len(tokens) + own for tokens, own in choices)
    rows = torch.tensor([[*tokens, *[0] * (longest - len(tokens))] for tokens, _ in choices])
    log_probs = model.logits(rows, dropped, read).log_softmax(-1)
    found = []
    for (tokens, own), line in zip(choices, log_probs, strict=True):
        behind = longest - len(tokens)
        lines = line[read - 1 - behind - own : read - 1 - behind]
        found.append(float(lines.gather(1, torch.tensor(tokens[-own:])[:, None]).sum()))
    return found


def write(model: Llama, tokens: Sequence[int], new_tokens: int, dropped) -> list[int]:
    """Exactly so many tokens, greedily, a whole forward pass for each."""
    written: list[int] = []
    for _ in range(new_tokens):
        logits = model.logits(torch.tensor([[*tokens, *written]]), dropped)[0, -1]
        written.append(int(logits.argmax()))
    return written
