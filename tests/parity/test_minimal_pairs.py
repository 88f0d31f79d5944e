"""Log-likelihood choices of a real model on real minimal pairs, one sentence at a time in torch."""

import gzip
import json

import pytest

torch = pytest.importorskip("torch")
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from tale_jax.models import load_model  # noqa: E402
from tale_jax.scoring import Scorer  # noqa: E402
from tale_jax.tasks import load_task  # noqa: E402


def test_the_same_sentences_are_preferred(shared, tmp_path):
    source = shared / "blimp" / "determiner_noun_agreement_1.jsonl.gz"
    pairs = [json.loads(line) for line in gzip.decompress(source.read_bytes()).splitlines()]
    pairs = [[pair["sentence_good"], pair["sentence_bad"]] for pair in pairs]
    task = tmp_path / "pairs.jsonl"
    lines = [{"prompt": "", "choices": pair, "answer": 0} for pair in pairs]
    task.write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder = shared / "models" / "stories260K-hf"

    loaded = load_model(str(folder))
    scorer = Scorer(loaded.config, loaded.params, loaded.tokenizer, load_task(str(task)))
    ours = [answer.correct for answer in scorer.answers("search", ())]

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def score(sentence: str) -> float:
        ids = tokenizer(sentence, add_special_tokens=False)["input_ids"]
        tokens = torch.tensor([[tokenizer.bos_token_id, *ids]])
        logits = model(tokens).logits[0, :-1].double()
        return logits.log_softmax(-1).gather(1, tokens[0, 1:, None]).sum().item()

    margins = [score(good) - score(bad) for good, bad in pairs]
    theirs = [margin > 0 for margin in margins]
    # No pair is so close that rounding decides it.
    assert min(map(abs, margins)) > 1e-4
    assert ours == theirs
    assert sum(theirs) == 680
