"""What the commands work on: small models, tasks, texts, and one finished run of every kind."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
from faulty_server import FaultyServer, reply

from attention.cli import main as attn
from icl.cli import main as icl
from tale_jax.cli import main as tale

PROGRAMS = {"tale": tale, "icl": icl, "attn": attn}
TRAINING = "--epochs 1 --batch-size 5 --lora-rank 2 --save-every 3"
LONG = {
    "search": "tale search --model tiny --task a.jsonl --test b.jsonl --epsilon 0.3 "
    "--null-control 1 --out OUT",
    "compare": "tale compare --model tiny --task a.jsonl --criteria accuracy,perplexity,cosine "
    "--out OUT",
    "transfer": "tale transfer --run search --run other --out OUT",
    "finetune": f"tale finetune --model tiny --task a.jsonl --train b.jsonl {TRAINING} --out OUT",
    "arms": "tale arms --model tiny --task a.jsonl --train c.jsonl --test b.jsonl --steps 2 "
    "--batch-size 3 --lora-rank 2 --max-drops 1 --out OUT",
    "train": "icl train --preset linear-1l2ah --normalizer ssa --points 5 --hidden-size 6 "
    "--batch 7 --steps 60 --dispatch 3 --log-every 3 --save-every 6 --out OUT",
    "ask": "icl ask --model m --endpoint URL --count 23 --out OUT",
    "pretrain": "attn pretrain --corpus books.txt --normalizer ssa --validation 0.2 --test 0.2 "
    "--vocabulary 270 --length 16 --batch 4 --steps 12 --save-every 3 --log-every 1 "
    "--evaluate-every 4 --evaluate-rows 8 --out OUT",
}
"""Long commands by the name of the run that they make; OUT is its directory."""

SHORT = {
    "evaluate": "tale evaluate --model tiny --task a.jsonl --drop 1",
    "export": "tale export --run search --pick bsba",
    "copy": "tale export --run search --out OUT",
    "pick": "tale pick --run search --budget-layers 4",
    "errors": "icl evaluate --run train --count 2 --prompts 3 --out OUT",
    "bounds": "icl saturation --run train --count 3 --out OUT",
    "roots": "icl roots --run train --count 3",
    "describe": "attn describe --model tiny",
    "plot": "attn plot --run train --out OUT/plot.png",
    "lens": "tale lens --model tiny --task a.jsonl --drop 1",
    "explain": "attn explain --model demo --task demo --limit 2 --out OUT",
    "opened": "attn describe --model pretrain",
    "versus": "attn compare --run pretrain --run rival --draws 20 --out OUT",
    "asked": "attn probe --model pretrain --task blimp --data pairs --out OUT",
}
"""Short commands; each reads something."""


def letters(file: Path, count: int, seed: int) -> None:
    """Write a task of letters."""
    number = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        prompt = "".join(number.choice(list("abcdefgh"), 11))
        row = {"prompt": prompt, "choices": ["x", "y"], "answer": int(prompt.count("a") > 1)}
        lines.append(json.dumps(row) + "\n")
    file.write_text("".join(lines))


def books(file: Path, count: int) -> None:
    """Write a text of many books, with an empty line between them."""
    number, words = np.random.default_rng(5), "the dog saw a cat and ran to our old house".split()
    texts = (" ".join(number.choice(words, 200)) for _ in range(count))
    file.write_text("\n\n".join(f"Tale {i}. {text}" for i, text in enumerate(texts)))


def make(root: Path) -> Path:
    """Make everything once; a folder that is complete is taken as it is."""
    if (root / "complete").is_file():
        return root
    from conftest import write_encoder, write_model  # of all tests

    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    write_model(root / "tiny", max_position_embeddings=400)
    write_encoder(root / "encoder")
    letters(root / "a.jsonl", 23, 1)
    letters(root / "b.jsonl", 19, 2)
    letters(root / "c.jsonl", 17, 3)
    (root / "text.txt").write_text("a text of letters, and more of it.\n" * 50)
    books(root / "books.txt", 23)
    (root / "pairs/blimp").mkdir(parents=True)
    pair = {"sentence_good": "the dog saw", "sentence_bad": "saw dog the", "linguistics_term": "o"}
    (root / "pairs/blimp/order.jsonl").write_text((json.dumps(pair) + "\n") * 3)
    others = {
        "other": LONG["search"].replace("a.jsonl", "b.jsonl", 1).replace("--test b", "--test a"),
        "rival": LONG["pretrain"].replace("ssa", "softmax"),
    }
    for name in dict.fromkeys(("search", "other", "rival", *LONG)):
        done(root, LONG.get(name) or others[name], root / name)
    (root / "complete").write_text("")
    return root


def words_of(line: str, root: Path, out: Path, url: str = "http://127.0.0.1:9/v1") -> list[str]:
    """The words of a line, with the paths of what it reads."""
    words = line.replace("OUT", str(out)).replace("URL", url).split()
    return [*words[:2], *(str(root / w) if (root / w).exists() else w for w in words[2:])]


def done(root: Path, line: str, out: Path) -> str:
    """Run a line undisturbed, and return what it prints."""
    said = io.StringIO()
    with FaultyServer(reply()) as server, contextlib.redirect_stdout(said):
        program, *words = words_of(line, root, out, server.url)
        PROGRAMS[program]([*words, "--json"])
    return said.getvalue()
