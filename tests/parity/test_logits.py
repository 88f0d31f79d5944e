"""Checkpoints written by torch transformers give its logits here; and those written here, there."""

import json

import jax
import numpy as np
import pytest

from attention.transformer import keep_layers, load_pretrained, save_pretrained
from attention.transformer.arithmetic import ACTIVATIONS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

NAMES = (
    "llama llama-mha llama-mqa llama-tied-biases llama-llama3-rope llama-linear-rope llama-yarn "
    "llama-yarn-mscale qwen2 qwen2-sliding qwen3 qwen3-sliding mistral mistral-full granite olmo2 "
    "starcoder2 starcoder2-plain gemma gemma2 gemma3_text qwen3_moe cohere cohere-qk-norm "
    "ministral3 smollm3 phi3 stablelm stablelm-parallel gpt_neox gpt_neox-serial nemotron gpt2 "
    "gpt2-untied bert roberta roberta-relu distilbert electra electra-square "
    "modernbert modernbert-biases"
).split()
BY_LENGTH = ["llama-dynamic", "phi3-long"]
ENCODERS = "bert roberta distilbert electra modernbert modernbert-biases".split()
ONE_EACH = [
    *"llama qwen2-sliding qwen3 mistral starcoder2 gemma gemma2 gpt_neox gpt2".split(),
    *ENCODERS,
]
# or without some of them, or with those of Llama
WITHOUT_OTHER_HEADS = (
    "gemma3_text qwen3_moe granite olmo2 cohere-qk-norm ministral3 smollm3 phi3 stablelm "
    "stablelm-parallel nemotron".split()
)


def test_the_list_is_complete(models):
    assert list(models) == NAMES + BY_LENGTH


@pytest.mark.parametrize("name", BY_LENGTH)
def test_frequencies_by_length(make_model, batch, theirs, ours, agree, tmp_path, name):
    """Each row alone: up to the length of pretraining, which is 7, and beyond."""
    model = make_model(name)
    model.save_pretrained(tmp_path)
    config, params = load_pretrained(tmp_path)
    tokens, where, positions = batch
    logits = ours(config, params, tokens, where)
    for row in (4, 1, 0):  # ascending lengths, for transformers remembers the longest
        real = where[row]
        assert real.sum() in (1, 7, 11)
        alone = (x[row][real][None] for x in (tokens, where, positions))
        agree(logits[row][real][None], theirs(model, *alone))


@pytest.mark.quick(
    "llama-mqa",
    "llama-tied-biases",
    "llama-llama3-rope",
    "llama-yarn",
    "qwen2-sliding",
    "gemma2",
    "qwen3_moe",
    "cohere",
    "gpt2",
    "bert",
    "modernbert-biases",
)
@pytest.mark.parametrize("name", NAMES)
def test_logits(make_model, batch, theirs, ours, agree, tmp_path, name):
    """No, left and right padding; the sequences are longer than the windows."""
    model = make_model(name)
    model.save_pretrained(tmp_path)
    tokens, where, positions = batch
    expected = theirs(model, tokens, where, positions)
    config, params = load_pretrained(tmp_path)
    logits = ours(config, params, tokens, where)
    assert logits.dtype == np.float32
    agree(logits, expected, where)
    if name == "llama-llama3-rope":  # the test sees all three ranges of wavelengths
        theta = 1e4 ** (-np.arange(0, 14, 2) / 14)
        turns = 29 * theta / (2 * np.pi)
        assert (turns > 4).any()
        assert ((turns > 1) & (turns < 4)).any()
        assert (turns < 1).any()


SEEING = {  # language model → classes of the whole: its name, its config, that of its eyes
    "ministral3": ("Mistral3ForConditionalGeneration", "Mistral3Config", "PixtralVisionConfig"),
    "gemma3_text": ("Gemma3ForConditionalGeneration", "Gemma3Config", "SiglipVisionConfig"),
}


@pytest.mark.quick("gemma3_text")
@pytest.mark.parametrize("name", SEEING)
def test_the_language_model_of_one_that_sees(
    make_model, batch, theirs, ours, agree, tmp_path, name
):
    """Its tensors have other names there, among those of the vision tower."""
    plain = make_model(name)
    kind, whole, eyes = (getattr(transformers, each) for each in SEEING[name])
    vision = eyes(hidden_size=16, intermediate_size=19, num_hidden_layers=1, num_attention_heads=2)
    tied = plain.config.tie_word_embeddings
    config = whole(text_config=plain.config, vision_config=vision, tie_word_embeddings=tied)
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    model.save_pretrained(tmp_path / "whole")
    tokens, where, positions = batch
    expected = theirs(model, tokens, where, positions)
    config, params = load_pretrained(tmp_path / "whole")
    agree(ours(config, params, tokens, where), expected, where)
    save_pretrained(tmp_path / "text", config, params, source=tmp_path / "whole")
    alone = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "text").eval()
    assert type(alone) is type(plain)
    agree(theirs(alone, tokens, where, positions), expected, where)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(agree, name):
    x = np.linspace(-6, 6, 101, dtype=np.float32)
    theirs = transformers.activations.ACT2FN[name](torch.tensor(x)).numpy()
    agree(jax.jit(ACTIVATIONS[name])(x), theirs)


@pytest.mark.quick("llama3")
@pytest.mark.parametrize("kind", ["llama3", "linear", "none"])
def test_the_older_layout_of_rope_settings(make_model, batch, theirs, ours, agree, tmp_path, kind):
    name = {"llama3": "llama-llama3-rope", "linear": "llama-linear-rope", "none": "llama"}[kind]
    model = make_model(name)
    model.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    hf = json.loads(file.read_text())
    scaling = hf.pop("rope_parameters")
    hf["rope_theta"] = scaling.pop("rope_theta")
    hf["rope_scaling"] = None if kind == "none" else scaling
    file.write_text(json.dumps(hf))
    tokens, where, positions = batch
    config, params = load_pretrained(tmp_path)
    agree(ours(config, params, tokens, where), theirs(model, tokens, where, positions), where)


def test_segments(make_model, batch, theirs, ours, agree, tmp_path):
    model = make_model("bert")
    model.save_pretrained(tmp_path)
    tokens, where, positions = batch
    types = (np.arange(tokens.shape[1]) > 4).astype(np.int64)[None].repeat(len(tokens), 0)
    expected = theirs(model, tokens, where, positions, token_type_ids=types)
    config, params = load_pretrained(tmp_path)
    agree(ours(config, params, tokens, where, token_type_ids=types), expected, where)
    assert np.abs(expected - theirs(model, tokens, where, positions)).max() > 0.1


@pytest.mark.quick("token-electra", "sequence-bert", "sequence-llama")
@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("head", ["sequence", "token", "base"])
def test_other_heads(make_model, batch, theirs, ours, agree, tmp_path, name, head):
    model = make_model(name, head)
    model.save_pretrained(tmp_path)
    tokens, where, positions = batch
    if head == "sequence" and name in ENCODERS:
        # Theirs reads slot 0, ours the first real token: the same without padding on the left.
        tokens, where, positions = (x[[0, 2, 4]] for x in batch)
    elif head == "sequence":
        tokens = np.where(where, tokens, 0)  # theirs finds the last token that is not padding
    expected = theirs(model, tokens, where, positions)
    config, params = load_pretrained(tmp_path)
    assert config.head == {"base": "none"}.get(head, head)
    found = ours(config, params, tokens, where)
    agree(found, expected, None if head == "sequence" else where)
    if head != "base":
        assert found.shape[-1] == 7


@pytest.mark.quick("gemma2")
@pytest.mark.parametrize("name", ONE_EACH + WITHOUT_OTHER_HEADS)
def test_the_way_back(make_model, batch, theirs, ours, agree, tmp_path, name):
    """Whole and with a layer dropped; nothing missing, nothing unexpected, the same logits."""
    model = make_model(name)
    model.save_pretrained(tmp_path / "theirs")
    config, params = load_pretrained(tmp_path / "theirs")
    tokens, where, positions = batch
    for kept in ((0, 1, 2), (0, 2), (0,)) if name in ONE_EACH else ((0, 1, 2), (1,)):
        target = tmp_path / "-".join(map(str, kept))
        shallow = config.keep_layers(kept)
        shorter = keep_layers(params, kept)
        save_pretrained(target, shallow, shorter, source=tmp_path / "theirs")
        back, report = type(model).from_pretrained(target, output_loading_info=True)
        for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
            assert not report.get(problem), (problem, report[problem])
        assert back.config.num_hidden_layers == len(kept)
        assert back.config.eos_token_id == model.config.eos_token_id
        expected = theirs(back.eval(), tokens, where, positions)
        agree(ours(shallow, shorter, tokens, where), expected, where)
    same = type(model).from_pretrained(tmp_path / "0-1-2").state_dict()
    for key, tensor in model.state_dict().items():
        assert torch.equal(same[key], tensor), key


@pytest.mark.quick("qwen3-sequence", "gpt2-token", "bert-base", "electra-sequence")
@pytest.mark.parametrize("head", ["sequence", "token", "base"])
@pytest.mark.parametrize("name", ["qwen3", "gpt2", *ENCODERS])
def test_the_way_back_with_other_heads(make_model, tmp_path, name, head):
    model = make_model(name, head)
    model.save_pretrained(tmp_path / "theirs")
    config, params = load_pretrained(tmp_path / "theirs")
    # The token ids of ModernBERT's class are beyond a small vocabulary.
    source = tmp_path / "theirs" if "modernbert" in name else None
    save_pretrained(tmp_path / "ours", config, params, source=source)
    # A base encoder's pooler serves no head here and is not kept.
    bare = {"add_pooling_layer": False} if head == "base" and name in ("bert", "roberta") else {}
    back, report = type(model).from_pretrained(tmp_path / "ours", output_loading_info=True, **bare)
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not report.get(problem), (problem, report[problem])
    theirs = model.state_dict()
    for key, tensor in back.state_dict().items():
        assert torch.equal(theirs[key], tensor), key
    if head != "base":
        assert back.config.num_labels == 7


@pytest.mark.quick("llama")
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_half_precision(make_model, batch, theirs, ours, tmp_path, name):
    """bfloat16 here is as close to float32 as bfloat16 there."""
    model = make_model(name)
    model.save_pretrained(tmp_path)
    tokens, where, positions = batch
    exact = theirs(model, tokens, where, positions)[where]
    rounded = theirs(model.to(torch.bfloat16), tokens, where, positions)[where]
    config, params = load_pretrained(tmp_path, dtype="bfloat16")
    found = np.asarray(ours(config, params, tokens, where))[where]
    theirs_off, ours_off = (np.sqrt(np.mean((x - exact) ** 2)) for x in (rounded, found))
    assert 0 < ours_off < 1.5 * theirs_off


@pytest.mark.parametrize("name", ["stories260K-hf", "TinyStories-656K"])
def test_real_models(shared, theirs, ours, agree, name):
    folder = shared / "models" / name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["Once upon a time, there was a little girl named Lily.", "The dog", "She said: no!"]
    encoded = [tokenizer(text)["input_ids"] for text in texts]
    longest = max(map(len, encoded))
    tokens = np.zeros((3, longest), np.int64)
    where = np.zeros((3, longest), bool)
    for row, ids in enumerate(encoded):
        start = 0 if row == 1 else longest - len(ids)
        tokens[row, start : start + len(ids)] = ids
        where[row, start : start + len(ids)] = True
    positions = np.maximum(np.cumsum(where, 1) - 1, 0)
    expected = theirs(model, tokens, where, positions)
    config, params = load_pretrained(folder)
    agree(ours(config, params, tokens, where), expected, where)
