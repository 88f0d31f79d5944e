"""Scores and verdicts of minimal pairs against plain loops in torch, without padding."""

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import transformers  # noqa: E402
from tokenizers import ByteLevelBPETokenizer  # noqa: E402
from tokenizers.processors import TemplateProcessing  # noqa: E402

from attention.language.probing import (  # noqa: E402
    RULES,
    compare_scores,
    open_model,
    read_paradigms,
    score_sentences,
)

SPECIAL = ["<s>", "<pad>", "</s>", "<mask>"]  # the padding, 1, is no token of a text


@torch.no_grad()
def torch_scores(model, rows, ask):
    """Scores of rows of token ids, those of one length together."""
    found = np.zeros(len(rows))
    of_length = {}
    for i, ids in enumerate(rows):
        of_length.setdefault(len(ids), []).append(i)
    for members in of_length.values():
        for start in range(0, len(members), 256):
            part = members[start : start + 256]
            found[part] = ask(model, torch.tensor([rows[i] for i in part]))
    return found


def log_probs(model, tokens):
    return model(tokens).logits.double().log_softmax(-1)


def left_to_right(model, tokens):
    each = log_probs(model, tokens)[:, :-1].gather(2, tokens[:, 1:, None])
    return each.sum((1, 2)).numpy()


def unmasked(model, tokens):
    return log_probs(model, tokens).gather(2, tokens[..., None]).mean((1, 2)).numpy()


def pseudo(model, tokens, mask, hidden):
    """Each inner place masked with those places behind it that `hidden` joins to it."""
    total = np.zeros(len(tokens))
    for place in range(1, tokens.shape[1] - 1):
        masked = tokens.clone()
        masked[:, place] = mask
        for row in range(len(tokens)):
            masked[row, hidden(tokens[row].tolist(), place)] = mask
        each = log_probs(model, masked)[:, place].gather(1, tokens[:, place, None])
        total += each[:, 0].numpy()
    return total


def texts_and_sizes(shared, task, limit):
    pairs = [pair for each in read_paradigms(task, shared, limit) for pair in each.pairs]
    return [text for pair in pairs for text in (pair.good, pair.bad)]


def agreement(ours, theirs):
    """The share of pairs with the same verdict, and the largest relative difference."""
    verdicts = [compare_scores(each[::2], each[1::2]) for each in (ours, theirs)]
    apart = np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)))
    return float(np.mean(verdicts[0] == verdicts[1])), float(apart)


def check_decoder(shared, limit, *tasks):
    folder = shared / "models" / "stories260K-hf"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = open_model(str(folder))
    for task in tasks:
        texts = texts_and_sizes(shared, task, limit)
        encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
        rows = [[tokenizer.bos_token_id, *ids] for ids in encoded]
        theirs = torch_scores(model, rows, left_to_right)
        same, apart = agreement(score_sentences(ours, texts, RULES["sum"]), theirs)
        assert same >= 0.999
        assert apart < 1e-5


def test_a_decoder_prefers_the_same_sentences(shared):
    check_decoder(shared, 3, "zorro")


@pytest.mark.nightly
def test_a_decoder_prefers_the_same_sentences_of_all_pairs(shared):
    check_decoder(shared, None, "blimp", "zorro")


@pytest.fixture(scope="module")
def encoder(shared, tmp_path_factory):
    """A RoBERTa of random weights, large enough to have opinions, with a tokenizer of Zorro."""
    texts = texts_and_sizes(shared, "zorro", 40)
    tokenizer = ByteLevelBPETokenizer(add_prefix_space=True)
    tokenizer.train_from_iterator(texts, 300, show_progress=False, special_tokens=SPECIAL)
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer._tokenizer.post_processor = TemplateProcessing("<s> $A </s>", None, ends)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, bos_token="<s>", eos_token="</s>",
        mask_token="<mask>", pad_token="<pad>",
    )  # fmt: skip
    config = transformers.RobertaConfig(
        vocab_size=307, hidden_size=34, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=37, max_position_embeddings=101, type_vocab_size=1, pad_token_id=1,
        initializer_range=0.3, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(3)
    model = transformers.RobertaForMaskedLM(config).eval()
    folder = tmp_path_factory.mktemp("encoder")
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return model, fast, open_model(str(folder))


def check_encoder(encoder, shared, rule, limit, *tasks):
    model, tokenizer, ours = encoder
    mask = tokenizer.mask_token_id
    texts = [text for task in tasks for text in texts_and_sizes(shared, task, limit)]
    encoded = tokenizer(texts)
    rows = encoded["input_ids"]
    words = {tuple(ids): encoded.word_ids(i) for i, ids in enumerate(rows)}

    def rest_of_word(ids, place):
        word = words[tuple(ids)]
        return [q for q in range(place, len(ids)) if word[q] == word[place]]

    ask = {
        "unmasked": unmasked,
        "pll": functools.partial(pseudo, mask=mask, hidden=lambda ids, place: [place]),
        "pll-word": functools.partial(pseudo, mask=mask, hidden=rest_of_word),
    }[rule]
    theirs = torch_scores(model, rows, ask)
    same, apart = agreement(score_sentences(ours, texts, RULES[rule]), theirs)
    assert same >= 0.999
    assert apart < 1e-5


@pytest.mark.quick("pll-word")
@pytest.mark.parametrize("rule", ["unmasked", "pll-word"])
def test_an_encoder_prefers_the_same_sentences(encoder, shared, rule):
    check_encoder(encoder, shared, rule, 1, "zorro")


@pytest.mark.nightly
@pytest.mark.parametrize(("rule", "limit"), [("unmasked", None), ("pll", 20), ("pll-word", 20)])
def test_an_encoder_prefers_the_same_sentences_of_many_pairs(encoder, shared, rule, limit):
    check_encoder(encoder, shared, rule, limit, "blimp", "zorro")
