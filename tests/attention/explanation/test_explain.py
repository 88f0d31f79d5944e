"""The command: what it writes, how it goes on, and what it refuses."""

import json

import jax
import numpy as np
import pytest

from attention.cli import main
from attention.commands.explain import explain
from attention.explanation import (
    Decisions,
    Examined,
    open_classifier,
    summary_texts,
    write_report,
)
from attention.transformer import keep_layers, load_pretrained, save_pretrained


def test_everything_is_written(study):
    names = {file.name for file in study.out.iterdir()}
    assert names >= {
        *"metrics.csv interventions.csv curves.csv examples.jsonl report.html".split(),
        *"heat_maps.png supports.png flips.png curves.png summary.json settings.json".split(),
    }
    page = (study.out / "report.html").read_text()
    assert "http:" not in page and "https:" not in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.count("<svg") == 3
    summary = json.loads((study.out / "summary.json").read_text())
    assert summary == json.loads(json.dumps({k: study.summary[k] for k in summary}))
    assert summary["examples"] == 2 and summary["guarantees"]["logits_kept"]
    low, high = summary["interventions"]["uniform"]["tvd"][1:]
    assert low <= summary["interventions"]["uniform"]["tvd"][0] <= high


def test_layers_are_left_out(study, letter_tokenizer, tmp_path):
    model, task = str(study.arguments["model"]), str(study.arguments["task"])
    opened = open_classifier(model, task, Decisions(limit=2), Examined(drop=(0,)))
    config, params = load_pretrained(study.arguments["model"])
    shorter = config.keep_layers([1]), keep_layers(params, [1])
    save_pretrained(tmp_path / "shorter", *shorter)
    letter_tokenizer().save_pretrained(tmp_path / "shorter")
    saved = open_classifier(str(tmp_path / "shorter"), task, Decisions(limit=2))
    assert opened.config.num_hidden_layers == 1 and opened.labels == saved.labels
    for given, same in zip(opened.inputs, saved.inputs, strict=True):
        np.testing.assert_array_equal(given.tokens, same.tokens)
        wanted = saved.classifier.logits(same)
        np.testing.assert_allclose(opened.classifier.logits(given), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.nightly  # test_adversary.py and other rooms go on after a kill
def test_a_killed_run_ends_in_the_same_bytes(study, tmp_path):
    for name in ("settings.json", "examples.jsonl"):
        text = (study.out / name).read_text()
        cut = text.index("\n") + 40 if name == "examples.jsonl" else None  # within a line
        (tmp_path / name).write_text(text[:cut])
    explain(**study.arguments, out=tmp_path, resume=True)
    for name in ("examples.jsonl", "summary.json", "report.html", "interventions.csv"):
        assert (tmp_path / name).read_bytes() == (study.out / name).read_bytes()


def test_a_token_cannot_end_the_script(study, tmp_path):
    settings = json.loads((study.out / "settings.json").read_text())
    lines = (study.out / "examples.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    records[0]["tokens"][0] = "</script><script>alert(1)</script>"
    write_report(tmp_path, {**settings, "model": "<b>"}, ["x", "y"], records)
    page = (tmp_path / "report.html").read_text()
    assert page.count("</script>") == 1 and "<b>" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "xyz"}, "label sets differ"),
        ({"text": "a" * 500}, "longer than the model's 160"),
        ({"normalizer": "nan"}, "not finite"),
        ({"head": "causal_lm"}, "needs a classifier"),
        ({"layers": "7"}, "--layers 7: there are 0 to 1"),
        ({"drop": "0,7"}, "--drop 0,7: there are 0 to 1, one stays"),
        ({"drop": "0,1"}, "--drop 0,1: there are 0 to 1, one stays"),
        ({"heads": "0,x"}, "--heads must be all or a whole number, not 'x'"),
        ({"task": "nothing.jsonl"}, "unknown task 'nothing.jsonl'"),
        ({"task": "snli", "data": "nowhere"}, "--data is the folder of the data"),
        ({"data": "snli"}, "write --task snli"),
        ({"data-folder": "data"}, "--data-folder is now --data DIR"),
        ({"x64": ""}, "--x64 is now --dtype float64"),
    ],
)
def test_mistakes_are_one_line(
    letter_tokenizer, study, tmp_path, capsys, tiny_classifier, change, message
):
    data, place = tmp_path / "data.jsonl", study.arguments["model"]
    labels = change.pop("labels", "xy")
    lines = [{"text": change.pop("text", "a b"), "label": label} for label in labels]
    data.write_text("\n".join(map(json.dumps, lines)))
    if "head" in change or "normalizer" in change:
        place = tmp_path / "model"
        head = change.pop("head", "sequence")
        labels = {} if head == "sequence" else {"num_labels": 1}
        config, params = tiny_classifier("decoder", head=head, **labels)
        if change.pop("normalizer", None):
            params = jax.tree.map(lambda leaf: leaf * np.nan, params)
        save_pretrained(place, config, params)
        letter_tokenizer().save_pretrained(place)
    options = {"model": place, "task": data, "out": tmp_path / "o"} | change
    words = [word for name, value in options.items() for word in (f"--{name}", str(value)) if word]
    with pytest.raises(SystemExit) as stop:
        main(["explain", *words])
    told = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2 and message in told[-1] and len(told) == 1
    assert not (tmp_path / "o").exists()


def test_a_correlation_that_does_not_exist_is_not_shown(study):
    context = study.summary["context"]

    def texts(correlation):
        found = {**study.summary, "context": {**context, "rank_correlation": correlation}}
        return [text for text in summary_texts(found) if isinstance(text, str)]

    assert texts((0.5, 0.25, 0.75))[-1].endswith("0.50 [0.25, 0.75]")
    assert not any("nan" in text for text in texts((np.nan, np.nan, np.nan)))
    assert max(map(len, texts((-0.5, -0.75, -0.25)))) <= 80
