"""Log-likelihood choices of a real model on real minimal pairs, without padding in torch."""

import gzip
import json

import pytest

torch = pytest.importorskip("torch")
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from tale_jax.models import load_model  # noqa: E402
from tale_jax.scoring.scorer import Scorer  # noqa: E402
from tale_jax.tasks.loading import load_task  # noqa: E402


@pytest.mark.nightly  # tale_jax/commands/test_search.py has the number
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
    def scores(rows: list[list[int]]) -> list[float]:
        tokens = torch.tensor(rows)
        log_probs = model(tokens).logits[:, :-1].double().log_softmax(-1)
        return log_probs.gather(2, tokens[:, 1:, None]).sum((1, 2)).tolist()

    sentences = [sentence for pair in pairs for sentence in pair]
    encoded = tokenizer(sentences, add_special_tokens=False)["input_ids"]
    of_length: dict[int, list[int]] = {}
    for i, ids in enumerate(encoded):
        of_length.setdefault(len(ids), []).append(i)
    score = {}
    for members in of_length.values():
        rows = [[tokenizer.bos_token_id, *encoded[i]] for i in members]
        score |= dict(zip(members, scores(rows), strict=True))
    margins = [score[2 * i] - score[2 * i + 1] for i in range(len(pairs))]
    theirs = [margin > 0 for margin in margins]
    # No pair is so close that rounding decides it.
    assert min(map(abs, margins)) > 1e-4
    assert ours == theirs
    assert sum(theirs) == 680
