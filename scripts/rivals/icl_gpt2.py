"""The plain torch program: GPT-2 of `transformers` trained on functions, as Garg et al. do."""

from __future__ import annotations

import time

import torch  # pyright: ignore[reportMissingImports]
from transformers import GPT2Config, GPT2Model


class Trainer:
    """Adam on f(x) = ax + b; batch 64, 41 points, fresh prompts each step."""

    def __init__(self, layers: int, heads: int, size: int, points: int = 41, batch: int = 64):
        torch.manual_seed(0)
        self.points, self.batch = points, batch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        config = GPT2Config(
            vocab_size=1,  # the table of 50,257 rows is never used
            n_positions=512,
            n_embd=size,
            n_layer=layers,
            n_head=heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
        )
        self.backbone = torch.nn.Module.to(GPT2Model(config), self.device)
        self.read_in = torch.nn.Linear(1, size).to(self.device)
        self.read_out = torch.nn.Linear(size, 1).to(self.device)
        modules = (self.backbone, self.read_in, self.read_out)
        self.optimizer = torch.optim.Adam(
            [parameter for module in modules for parameter in module.parameters()], lr=1e-4
        )

    def step(self) -> float:
        """One update on fresh prompts."""
        xs = torch.randn(self.batch, self.points, device=self.device)
        a, b = torch.randn(2, self.batch, 1, device=self.device)
        ys = a * xs + b
        tokens = torch.stack([xs, ys], dim=2).reshape(self.batch, 2 * self.points, 1)
        hidden = self.backbone(inputs_embeds=self.read_in(tokens)).last_hidden_state
        predicted = self.read_out(hidden)[:, ::2, 0]
        loss = (predicted - ys).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def steps_per_s(self, steps: int) -> float:
        """Rate over a block of steps."""
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        return steps / (time.perf_counter() - start)
