"""Searches that drop halves of layers, and what is made of their runs."""

import csv
import json
import shutil

import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.transformer import Transformer, load_pretrained, save_pretrained
from tale_jax import evaluate, export, search
from tale_jax.analysis import pareto_front
from tale_jax.cli import main
from tale_jax.commands.benchmark import benchmark
from tale_jax.commands.compare import compare
from tale_jax.commands.finetune import finetune
from tale_jax.commands.information import information
from tale_jax.commands.lens import lens
from tale_jax.commands.pick import pick
from tale_jax.commands.transfer import transfer
from tale_jax.models import load_model
from tale_jax.options import TrainingOptions, Workload
from tale_jax.runs import load_run
from tale_jax.runs.verdicts import layer_list
from tale_jax.units import Units, missing_halves

QUICK = {"epsilon": 0.3, "max_drops": 3}


def test_the_files_name_halves(searched):
    summary = json.loads((searched / "halves" / "summary.json").read_text())
    assert summary["granularity"] == "sublayer"
    units = set(Units(5, "sublayer").every)
    steps = [
        json.loads(x) for x in (searched / "halves" / "trajectory.jsonl").read_text().splitlines()
    ]
    assert len(steps) == 3
    for step in steps:
        assert {step["layer"], *step["dropped"]} <= units
        assert len(step["dropped"]) == step["iteration"]
    with (searched / "halves" / "candidates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows[:10]] == list(Units(5, "sublayer").every)
    assert any(row["correct"].startswith("<=") for row in rows)
    run = load_run(searched / "halves")
    assert [c["layer"] for c in run.candidates] == [row["layer"] for row in rows]
    assert run.dropped("bsba") == tuple(summary["bsba"]["dropped"])
    page = (searched / "halves" / "report.html").read_text()
    assert "half-layer" in page and "right half: MLP" in page
    assert "--granularity sublayer" in page and "--format tale" in page


def test_a_resumed_run_is_the_same(searched, search_again, tmp_path):
    journal = (searched / "halves" / "journal.jsonl").read_bytes()
    for place in (len(journal) // 3, len(journal)):
        out = tmp_path / str(place)
        out.mkdir()
        shutil.copy(searched / "halves" / "settings.json", out)
        (out / "journal.jsonl").write_bytes(journal[:place])
        search_again(out, resume=True)
        for name in ("journal.jsonl", "candidates.csv", "trajectory.jsonl", "report.html"):
            assert (out / name).read_bytes() == (searched / "halves" / name).read_bytes()
    with pytest.raises(InputError, match='granularity was "sublayer" and is now "mlp"'):
        search_again(searched / "halves", granularity="mlp", resume=True)


def test_an_exhaustive_search_finds_the_same(searched, search_again, tmp_path):
    found = search_again(tmp_path / "all", exhaustive=True)
    raced = json.loads((searched / "halves" / "summary.json").read_text())
    for pick_ in ("baseline", "best", "bsba"):
        assert found[pick_] == raced[pick_]
    counted = {tuple(c["dropped"]): c["correct"] for c in load_run(tmp_path / "all").candidates}
    for candidate in load_run(searched / "halves").candidates:
        exact = counted[tuple(candidate["dropped"])]
        assert candidate["correct"] >= exact
        assert candidate["bound"] or candidate["correct"] == exact


def test_a_search_of_layers_has_no_word_of_halves(searched, search_again, tmp_path):
    search_again(tmp_path / "layers", granularity="layer", max_drops=1, null_control=0)
    for file in (tmp_path / "layers").iterdir():
        text = file.read_text().lower()
        assert "half" not in text, file.name


@pytest.fixture(scope="module")
def exported(searched):
    """The deepest model of the run, and what the run says about it."""
    run = load_run(searched / "halves")
    chosen = pick(searched / "halves", searched / "half", budget_layers=3.5, format="tale")
    assert len(chosen["dropped"]) == 3
    recorded = {tuple(c["dropped"]): c["correct"] for c in run.candidates if not c["bound"]}
    assert recorded[tuple(chosen["dropped"])] == chosen["correct"]
    return searched / "half", chosen


def test_an_export_counts_as_the_search_did(searched, exported):
    folder, chosen = exported
    test = searched / "a-test.jsonl"
    found = evaluate(str(folder), searched / "a.jsonl", test=test)
    assert found["search"]["correct"] == chosen["correct"]
    assert found["test"]["correct"] == chosen["test"]["correct"]
    config, params = load_pretrained(folder)
    full, whole = load_pretrained(searched / "tiny")
    keep = np.ones((5, 2), bool)
    for unit in chosen["dropped"]:
        keep[int(unit[0]), int(unit.endswith("mlp"))] = False
    tokens = np.arange(11)[None]
    expected = jax.jit(Transformer(full).apply)({"params": whole}, tokens, keep=keep)
    logits = jax.jit(Transformer(config).apply)({"params": params}, tokens)
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
    assert "`layer_halves`" in (folder / "README.md").read_text()


@pytest.mark.nightly  # the test before it compares choices
def test_an_export_writes_what_the_search_scored(searched, exported):
    folder, chosen = exported
    how = {"protocol": "decode", "max_new_tokens": 3}
    found = [
        evaluate(searched / "tiny", searched / "a.jsonl", drop=chosen["dropped"], **how),
        evaluate(str(folder), searched / "a.jsonl", **how),
    ]
    names = ("correct", "unparsed")
    assert len({tuple(f["search"][name] for name in names) for f in found}) == 1


def test_an_export_is_searched_for_what_is_left(searched, exported, tmp_path):
    folder, chosen = exported
    found = search(
        str(folder), searched / "a.jsonl", tmp_path / "again", granularity="attention", **QUICK
    )
    config = load_model(str(folder)).config
    missing = missing_halves(config.halves)
    run = load_run(tmp_path / "again")
    first = [c["layer"] for c in run.candidates if c["iteration"] == 1]
    assert first == list(Units(config.num_hidden_layers, "attention", missing).every)
    assert found["baseline"]["correct"] == chosen["correct"]
    with pytest.raises(InputError, match="without it already"):
        evaluate(str(folder), searched / "a.jsonl", drop=[missing[0]])
    export(tmp_path / "again", "bsba", tmp_path / "smaller", format="tale")
    again = evaluate(str(tmp_path / "smaller"), searched / "a.jsonl")
    assert again["search"]["correct"] == found["bsba"]["correct"]


def test_halves_do_not_export_to_others(searched, exported, tmp_path, failing, capsys):
    for form in ("huggingface", "gguf", "mergekit"):
        words = ("pick", "--run", searched / "halves", "--budget-layers", 3.5, "--format", form)
        error = failing(*words, "--out", tmp_path / "x", "--no-compilation-cache")
        assert f"only whole layers export to {form}" in error and "--format tale" in error
        assert not (tmp_path / "x").exists()
    pick(searched / "halves", tmp_path / "dropped.txt", budget_layers=3.5, format="list")
    words = (tmp_path / "dropped.txt").read_text().strip()
    assert words == ",".join(exported[1]["dropped"])
    main(
        ["evaluate", "--model", str(searched / "tiny"), "--task", str(searched / "a.jsonl"),
         "--drop", words, "--no-compilation-cache"]
    )  # fmt: skip
    assert f"{exported[1]['correct']} of 47" in capsys.readouterr().out


def test_two_halves_export_as_a_layer(searched, search_again, tmp_path):
    """The search happens to begin with both halves of a layer."""
    both = {"initial": ["3.mlp", "3.attention"], "max_drops": 0, "null_control": 0}
    search_again(tmp_path / "run", granularity="mlp", **both)
    found = export(tmp_path / "run", "best", tmp_path / "short")
    assert found["kept"] == [0, 1, 2, 4]
    assert json.loads((tmp_path / "short" / "config.json").read_text())["model_type"] == "llama"
    export(tmp_path / "run", "best", tmp_path / "short.yaml", format="mergekit")


@pytest.mark.nightly  # analysis/test_latency.py measures whole layers
def test_speed_and_memory_are_measured(searched, exported):
    work = Workload(7, 3, rounds=1, warmup=0)
    rows = benchmark(run=searched / "halves", work=work)["rows"]
    assert [row["model"] for row in rows] == ["baseline", "BEST", "BSBA"]
    folder, chosen = exported
    [whole, half] = benchmark(model=searched / "tiny", drop=chosen["dropped"], work=work)["rows"]
    [again, less] = benchmark(model=str(folder), drop=["0.mlp"], work=work)["rows"]
    assert again["parameters_mib"] == half["parameters_mib"] < whole["parameters_mib"]
    assert again["cache_mib"] == half["cache_mib"] <= whole["cache_mib"]
    gone = sum(unit.endswith("attention") for unit in chosen["dropped"])
    assert half["cache_mib"] == pytest.approx(whole["cache_mib"] * (5 - gone) / 5)
    assert less["parameters_mib"] < again["parameters_mib"]


@pytest.mark.nightly  # analysis/ has each of a run of whole layers
def test_analyses_of_a_run(searched, tmp_path):
    best = load_run(searched / "halves").dropped("bsba")
    rows = lens(run=searched / "halves", pick="bsba", out=tmp_path / "lens")["rows"]
    last = [row for row in rows if row["model"] != "full"][-1]
    summary = json.loads((searched / "halves" / "summary.json").read_text())
    assert last["correct"] == summary["bsba"]["test"]["correct"]
    assert last["model"] == "without " + layer_list(best)
    (searched / "c.jsonl").write_bytes((searched / "b.jsonl").read_bytes())
    search(
        searched / "tiny",
        searched / "c.jsonl",
        tmp_path / "c",
        granularity="attention",
        **QUICK,
    )
    table = transfer([searched / "halves", tmp_path / "c"], tmp_path / "transfer", pick="bsba")[
        "rows"
    ]
    crossed = table[4]
    again = evaluate(searched / "tiny", searched / "c.jsonl", drop=crossed["dropped"])
    assert crossed["dropped"] == best and crossed["correct"] == again["search"]["correct"]


@pytest.mark.nightly
def test_information_of_a_run(searched, tmp_path):
    given = {"pick": "bsba", "limit": 20, "out": tmp_path / "bits"}
    rows = information(run=searched / "halves", **given)["rows"]
    assert {row["layer"] for row in rows} == {-1, *range(5)}


def test_the_front_of_a_run(searched):
    front = pareto_front(load_run(searched / "halves"))
    assert [len(point["dropped"]) for point in front] == sorted(
        {len(point["dropped"]) for point in front}
    )
    with pytest.raises(InputError, match=r"2 layers or fewer: the shallowest has 3\.5"):
        pick(searched / "halves", budget_layers=2)


@pytest.mark.nightly  # test_compare.py and test_criteria_rank_halves
def test_criteria_side_by_side(searched, tmp_path):
    given = {"criteria": ["accuracy", "last"], "depth": 2, "granularity": "sublayer"}
    rows = compare(searched / "tiny", searched / "a.jsonl", tmp_path / "criteria", **given)["rows"]
    assert rows[-1]["dropped"] == ("4.attention", "4.mlp")
    again = evaluate(searched / "tiny", searched / "a.jsonl", drop=[4])
    assert rows[-1]["correct"] == again["search"]["correct"]
    with pytest.raises(InputError, match="cosine measures whole layers"):
        compare(searched / "tiny", searched / "a.jsonl", tmp_path / "x", granularity="mlp")
    assert not (tmp_path / "x").exists()


@pytest.mark.nightly  # test_finetuning.py trains
def test_what_is_left_is_trained(searched, tmp_path):
    training = TrainingOptions(lora_rank=3, learning_rate=1e-2, batch_size=7, steps=2)
    out, train = tmp_path / "tuned", searched / "train.jsonl"
    model, task = searched / "tiny", searched / "a.jsonl"
    drop = ["1.attention", "3.mlp", 4]
    finetune(model=model, task=task, out=out, drop=drop, training=training, train=train)
    config, params = load_pretrained(out / "model")
    assert config.layer_halves == ("both", "mlp", "both", "attention")
    before = load_pretrained(searched / "tiny")[1]["layers"]["mlp"]["down"]["kernel"]
    after = params["layers"]["mlp"]["down"]["kernel"]
    assert np.any(after[1] != before[1]) and not np.any(after[3])
    assert evaluate(str(out / "model"), task)["search"]["total"] == 47


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--granularity", "head"], "granularity"),
        (["--granularity", "mlp", "--criterion", "cosine"], "cosine measures whole layers"),
        (["--initial", "1.mlp"], "--granularity attention, mlp or sublayer"),
        (["--initial", "1.norm"], "--initial is written 3,5.mlp, not '1.norm'"),
        (["--granularity", "mlp", "--initial", "7.mlp"], "no layer 7.mlp"),
        (["--granularity", "mlp", "--initial", "0,1,2,3,4"], "at least one"),
    ],
)
def test_bad_options_end_in_one_line(searched, tmp_path, failing, words, message):
    usual = ["search", "--model", searched / "tiny", "--task", searched / "a.jsonl", "--out"]
    error = failing(*usual, tmp_path / "out", *words, "--no-compilation-cache")
    assert message in error
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_without_a_class_comes_along(
    gpt2_fields, letter_tokenizer, write_model, tmp_path
):
    """Its class follows from the model type, which transformers does not know of an export."""
    write_model(tmp_path / "gpt2", num_hidden_layers=2, **gpt2_fields)
    settings = json.loads((tmp_path / "gpt2" / "tokenizer_config.json").read_text())
    settings.pop("tokenizer_class")
    (tmp_path / "gpt2" / "tokenizer_config.json").write_text(json.dumps(settings))
    config, params = load_pretrained(tmp_path / "gpt2")
    config = config.keep_halves([(True, False), (True, True)])
    save_pretrained(tmp_path / "half", config, params, source=tmp_path / "gpt2")
    loaded = load_model(str(tmp_path / "half"))
    assert loaded.tokenizer("abc")["input_ids"] == letter_tokenizer()("abc")["input_ids"]
