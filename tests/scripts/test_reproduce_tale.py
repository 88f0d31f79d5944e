"""The units of reproduce_tale.py: their order, what they leave, and what may be claimed."""

import json

import pytest

from attention.errors import InputError


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("reproduce_tale")


@pytest.fixture
def data(tmp_path):
    """A folder with the task ``bbh_boolean_expressions`` in its official fields."""
    folder = tmp_path / "data" / "bbh_boolean_expressions"
    folder.mkdir(parents=True)
    lines = []
    for i in range(43):
        words = ["not", "True", "and", "False", "or", "True"][i % 4 :] + ["("] * (i % 7)
        target = ["True", "False"][(i * 5) % 3 % 2]
        lines.append(json.dumps({"input": f"{i % 11} {' '.join(words)} is", "target": target}))
    (folder / "test.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


def test_the_plan_is_in_order_and_names_what_is_missing(script, data, tmp_path):
    found = script.main("demo", data=data, results=tmp_path / "r", plan=True)
    units = found["units"]
    assert len(units) == 2 * (7 + 4) + 7 + 7 + 3 * 6 + 1 + 2 + 6 + 2  # of each step
    assert units[0] == {"model": "demo", "unit": "whole-arc_easy-0shot",
                        "state": f"no {data / 'arc_easy'}"}  # fmt: skip
    states = {unit["unit"]: unit["state"] for unit in units}
    name = "bbh_boolean_expressions-0shot"
    assert states[f"whole-{name}"] == "to run"
    assert states[f"search-{name}"] == f"whole-{name} has not finished"
    whole = {"informative": False, "majority": 0.5, "whole": {"low": 0.41, "high": 0.59}}
    (tmp_path / "r" / "demo").mkdir(parents=True)
    (tmp_path / "r" / "demo" / f"whole-{name}.json").write_text(json.dumps({"found": whole}))
    again = script.main("demo", data=data, results=tmp_path / "r", plan=True)["units"]
    states = {unit["unit"]: unit["state"] for unit in again}
    assert states[f"whole-{name}"] == "done" and "41.0% to 59.0%" in states[f"search-{name}"]
    full = script.main(full=True, plan=True, results=tmp_path / "r")["units"]
    assert len(full) == 5 * 9 * 2 * 2
    with pytest.raises(InputError, match="no such unit"):
        script.main("demo", units=("nothing",), plan=True)


@pytest.mark.nightly  # a search of each kind, in processes
def test_a_finished_unit_leaves_a_file_and_is_skipped(script, data, tmp_path):
    name = "search-bbh_boolean_expressions-0shot"
    how = {"data": data, "out": tmp_path / "out", "results": tmp_path / "r", "units": (name,),
           "limit": 7, "quiet": True}  # fmt: skip
    first = script.main("demo", **how)
    assert first["units"] == [{"model": "demo", "unit": name, "why": None}]
    file = tmp_path / "r" / "demo" / f"{name}.json"
    written = json.loads(file.read_text())
    assert written["found"]["best"]["total"] == 7
    assert 0.5 <= written["found"]["majority"] <= 1
    written["minutes"] = -1  # were it run again, it would be measured again
    file.write_text(json.dumps(written))
    assert "bbh_boolean_expressions 0" in str(script.main("demo", **how))
    assert json.loads(file.read_text())["minutes"] == -1


def test_claims_are_judged_on_informative_tasks_and_corrected(script):
    def search(low, p_value, gain, dropped):
        base = {"accuracy": 0.5, "low": low, "test": {"accuracy": 0.5, "low": low}}
        test = {"accuracy": 0.5 + gain, "p_value": p_value}
        best = {"accuracy": 0.6, "dropped": dropped, "test": test}
        return {"task": "arc_easy", "shots": 0, "majority": 0.3, "baseline": base, "best": best,
                "bsba": best}  # fmt: skip

    rows = script.judged(
        [search(0.4, 0.01, 0.1, [1]), search(0.2, 0.001, 0.2, [2]), search(0.31, 0.3, -0.05, [1])]
    )
    assert [row.get("corrected_p") for row in rows] == [pytest.approx(0.02), None, 0.3]
    gains, sets = script.verdicts(rows)
    assert "gains on 1 of 2 informative tasks, beyond noise on 1" in gains
    assert "+2.5 points" in gains
    assert sets.startswith("Task-specific sets? 1 different sets over 2")
    assert "90.4 #5" in str(script.Result({}, script.table_of(rows, "Llama-3.1-8B")))
