"""Interventions through the tap, distances, and the command, on tiny random classifiers."""

import json

import jax
import numpy as np
import pytest
import scipy.spatial.distance
from tiny_classifiers import ENCODER, REAL, inputs, model
from tiny_models import letter_tokenizer

from attention.cli import main
from attention.commands.explain import explain
from attention.errors import InputError
from attention.explanation import distances
from attention.explanation.classifier import Inputs, Probe, softmax
from attention.explanation.interventions import INTERVENTIONS, Layer, replacements
from attention.language.classification import Dataset, Example, demo
from attention.language.reading import with_labels_of
from attention.transformer import save_pretrained


@pytest.fixture(scope="module", params=["encoder", "decoder", "sigmoid"])
def probe(request):
    changes = {"encoder": ENCODER, "decoder": {}, "sigmoid": {"normalizer": "sigmoid"}}
    return Probe(*model(**changes[request.param]), x64=True)


def layers_of(seen):
    parts = (seen[name] for name in ("attention_weights", "values", "where"))
    return [Layer(*layer) for layer in zip(*parts, strict=True)]


def test_exact_interventions_leave_the_output_and_others_move_it(probe):
    given = inputs()
    logits, seen = probe.attention(given)
    everywhere = np.ones((2, 4), bool)
    np.testing.assert_allclose(probe.logits(given)[0], logits, atol=1e-12)
    moved = {}
    for name in INTERVENTIONS:
        new = [np.stack(replacements(name, layer, 5)) for layer in layers_of(seen)]
        after = probe.logits(given, np.stack(new), everywhere)
        moved[name] = np.abs(after - logits).max() / np.abs(logits).max()
        away = np.abs(np.stack(new)[:, 0] - seen["attention_weights"]).max()
        assert name == "effective" or away > 1e-3, name
    for name, row in INTERVENTIONS.items():
        assert (moved[name] <= 1e-10) == row.exact, (name, moved[name])


def test_only_the_chosen_heads_are_replaced(probe):
    given = inputs()
    logits, seen = probe.attention(given)
    new = np.stack([np.stack(replacements("uniform", layer, 0)) for layer in layers_of(seen)])
    none = probe.logits(given, new, np.zeros((2, 4), bool))[0]
    np.testing.assert_allclose(none, logits, atol=1e-12)
    one = np.zeros((2, 4), bool)
    one[1, 2] = True
    assert np.abs(probe.logits(given, new, one)[0] - logits).max() > 1e-6


def test_replacements_are_distributions_of_the_same_sums(probe):
    _, seen = probe.attention(inputs())
    for layer in layers_of(seen):
        for name in INTERVENTIONS:
            if name == "effective":
                continue
            new = replacements(name, layer, 2)[0]
            assert new.min() >= 0, name
            np.testing.assert_allclose(new.sum(-1), layer.sums[..., 0], atol=1e-9, err_msg=name)
            assert not new[~np.broadcast_to(layer.where, new.shape)].any(), name


def test_gradients_and_removal_are_what_they_say(probe):
    given = inputs()
    found = probe.gradients(given, 1, steps=200)
    real = given.where
    assert not found["gradient × input"][~real].any()
    left = probe.leave_one_out(given, 1)
    shorter = Inputs(np.delete(given.tokens, 4), np.delete(real, 4), given.types[1:], None)
    gone = softmax(probe.logits(given))[0, 1] - softmax(probe.logits(shorter))[0, 1]
    np.testing.assert_allclose(left[4], gone, atol=1e-12)


def test_an_adversary_is_far_from_the_attention_and_near_in_output(probe):
    given = inputs()
    logits, seen = probe.attention(given)
    found = probe.adversarial(given, seen, np.ones((2, 4), bool))
    after = probe.logits(given, found[:, None], np.ones((2, 4), bool))[0]
    assert distances.tvd(softmax(after), softmax(logits)) < 0.1
    sums = seen["attention_weights"].sum(-1)
    np.testing.assert_allclose(found.sum(-1)[..., :REAL], sums[..., :REAL], atol=1e-9)
    assert np.abs(found - seen["attention_weights"]).sum(-1)[..., :REAL].mean() > 0.1


def test_distances_are_those_of_scipy():
    p, q = np.random.default_rng(0).dirichlet(np.ones(7), 2)
    assert distances.jsd(p, q) == pytest.approx(scipy.spatial.distance.jensenshannon(p, q) ** 2)
    assert distances.tvd(p, q) == pytest.approx(np.abs(p - q).sum() / 2)
    assert distances.cosine(p, q) == pytest.approx(1 - scipy.spatial.distance.cosine(p, q))
    one, two = np.eye(2)
    assert distances.hellinger(one, two) == 1 and distances.jsd(one, two) == pytest.approx(
        np.log(2)
    )
    assert distances.entropy(np.full(5, 0.2)) == pytest.approx(np.log(5))
    assert distances.kendall(np.arange(5), np.arange(5)) == pytest.approx(1)
    assert distances.kendall(np.ones(5), np.arange(5)) == 0
    middle, low, high = distances.bootstrap(np.array([0.0, 1.0] * 50))
    assert low < middle == 0.5 < high


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A decoder that reads letters, and a file of two short texts whose tokens would be markup."""
    root = tmp_path_factory.mktemp("explain")
    save_pretrained(root / "model", *model())
    letter_tokenizer().save_pretrained(root / "model")
    lines = [{"text": "a b c d e f g ? h", "label": "x"}, {"text": "b c a", "label": "y"}]
    (root / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


def test_the_command_writes_everything_and_resumes(folder, monkeypatch):
    arguments = (str(folder / "model"), str(folder / "data.jsonl"))
    how = {"limit": 2, "show": 1, "quiet": True, "adversary_steps": 2}
    explain(*arguments, folder / "whole", **how)
    names = {file.name for file in (folder / "whole").iterdir()}
    assert names >= {
        *"metrics.csv interventions.csv curves.csv examples.jsonl report.html".split(),
        *"heat_maps.png supports.png flips.png curves.png summary.json".split(),
    }
    text = (folder / "whole" / "examples.jsonl").read_text()
    page = (folder / "whole" / "report.html").read_text()
    assert "http" not in page and page.count("<script>") == page.count("</script>") == 1
    again = folder / "again"
    again.mkdir()
    (again / "run.json").write_text((folder / "whole" / "run.json").read_text())
    (again / "examples.jsonl").write_text(text[: text.index("\n") + 40])  # killed in a line
    explain(*arguments, again, resume=True, **how)
    assert (again / "examples.jsonl").read_text() == text
    assert (again / "report.html").read_text() == page


def test_a_token_cannot_end_the_script(folder):
    from attention.explanation.report import write_report

    settings = json.loads((folder / "whole" / "run.json").read_text())
    lines = (folder / "whole" / "examples.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    records[0]["tokens"][0] = "</script><script>alert(1)</script>"
    out = folder / "escaped"
    out.mkdir()
    write_report(out, {**settings, "model": "<b>"}, ["x", "y"], records)
    page = (out / "report.html").read_text()
    assert page.count("</script>") == 1 and "<b>" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "xyz"}, "label sets differ"),
        ({"text": "a" * 500}, "longer than the model's 160"),
        ({"normalizer": "nan"}, "not finite"),
        ({"head": "causal_lm"}, "needs a classifier"),
        ({"layers": "7"}, "there are 0 to 1"),
        ({"data": "nothing.jsonl"}, "neither a file nor"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, capsys, change, message):
    data, place = tmp_path / "data.jsonl", folder / "model"
    labels = change.get("labels", "xy")
    lines = [{"text": change.get("text", "a b"), "label": label} for label in labels]
    data.write_text("\n".join(map(json.dumps, lines)))
    if "head" in change or "normalizer" in change:
        place = tmp_path / "model"
        head = change.get("head", "sequence")
        config, params = model(head, **({} if head == "sequence" else {"num_labels": 1}))
        if "normalizer" in change:
            params = jax.tree.map(lambda leaf: leaf * np.nan, params)
        save_pretrained(place, config, params)
        letter_tokenizer().save_pretrained(place)
    words = [
        "explain",
        "--model",
        place,
        "--data",
        change.get("data", data),
        "--out",
        tmp_path / "o",
    ]
    with pytest.raises(SystemExit) as stop:
        main([*map(str, words), "--layers", change.get("layers", "all")])
    told = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2 and message in told[-1] and len(told) == 1
    assert not (tmp_path / "o").exists()


def test_labels_are_found_by_name(tmp_path):
    examples = [Example(["a"], None, [i]) for i in range(2)]
    data = Dataset("d", "sequence", ["no", "yes"], examples)

    def named(*labels):
        content = {"id2label": {str(i): label for i, label in enumerate(labels)}}
        (tmp_path / "config.json").write_text(json.dumps(content))
        return with_labels_of(tmp_path, data)

    found = named("Maybe", "YES", "No")  # another order and case, and one more
    assert found.labels == ["Maybe", "YES", "No"]
    assert [example.labels for example in found.examples] == [[2], [1]]
    assert named("LABEL_0", "LABEL_1") == named("no", "yes") == data
    for labels in (("LABEL_0", "LABEL_1", "LABEL_2"), ("yes",), ("no", "No", "YES"), ()):
        with pytest.raises(InputError, match="label sets differ"):
            named(*labels)


def test_the_generated_task_needs_its_question():
    examples = demo(1, 300)
    again = demo(1, 300)
    assert examples == again
    # the same sentence with another question may have another answer
    answers = {}
    for example in examples:
        words = " ".join(example.words)
        clause = next(c for c in words.split(" the ") if c.startswith(example.words[0] + " w"))
        good = any(w in clause for w in "good lovely great clean fresh kind".split())
        turned = " not " in clause or " never " in clause
        assert example.labels == [int(good != turned)]
        answers[example.labels[0]] = True
    assert len(answers) == 2
