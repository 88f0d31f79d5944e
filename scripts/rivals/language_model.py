"""The plain torch program: a GPT-2 or a RoBERTa, written as one would, trained on token ids."""

from __future__ import annotations

import time

import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]


class Block(nn.Module):
    """One layer: norms before each half (GPT-2), or behind it (RoBERTa)."""

    def __init__(self, size: int, heads: int, causal: bool):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        self.norms = nn.ModuleList([nn.LayerNorm(size) for _ in range(2)])

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Attention of all heads by torch's own kernel."""
        batch, length, size = x.shape
        shape = (batch, length, 3, self.heads, size // self.heads)
        q, k, v = self.qkv(x).view(shape).permute(2, 0, 3, 1, 4)
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(out.transpose(1, 2).reshape(x.shape))

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """The MLP."""
        return self.down(functional.gelu(self.up(x), approximate="tanh" if self.causal else "none"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both halves."""
        if self.causal:
            x = x + self.attend(self.norms[0](x))
            return x + self.transform(self.norms[1](x))
        x = self.norms[0](x + self.attend(x))
        return self.norms[1](x + self.transform(x))


class Trainer:
    """AdamW with gradient clipping, float32, on batches of token ids.

    An encoder's head runs at the masked places alone.
    """

    def __init__(
        self, layers: int, heads: int, size: int, vocabulary: int, length: int, causal: bool
    ):
        torch.manual_seed(0)
        self.causal = causal
        self.embed, self.places = nn.Embedding(vocabulary, size), nn.Embedding(length, size)
        self.blocks = nn.Sequential(*[Block(size, heads, causal) for _ in range(layers)])
        self.norm = nn.LayerNorm(size)
        self.dense, self.head_norm = nn.Linear(size, size), nn.LayerNorm(size)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        modules = [self.embed, self.places, self.blocks, self.norm]
        modules += [] if causal else [self.dense, self.head_norm]
        self.parameters = [p for module in modules for p in module.parameters()]
        self.parameters += [] if causal else [self.bias]
        for parameter in self.parameters:
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.1, foreach=True
        )

    def loss(self, tokens, targets, places=None) -> torch.Tensor:
        """The mean cross-entropy."""
        length = tokens.shape[1]
        x = self.embed(tokens) + self.places(torch.arange(length))[None]
        if not self.causal:
            x = self.norm(x)
        x = self.blocks(x)
        if self.causal:
            logits = functional.linear(self.norm(x), self.embed.weight)
        else:
            assert places is not None  # an encoder is asked at some places
            x = torch.take_along_dim(x, places[..., None], dim=1)
            x = self.head_norm(functional.gelu(self.dense(x)))
            logits = functional.linear(x, self.embed.weight, self.bias)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def steps(self, batch: dict, count: int) -> tuple[float, float]:
        """Wall and processor seconds of a step."""
        arrays = {name: torch.from_numpy(array).long() for name, array in batch.items()}
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(**arrays).backward()
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
        return (time.perf_counter() - wall) / count, (time.process_time() - processor) / count
