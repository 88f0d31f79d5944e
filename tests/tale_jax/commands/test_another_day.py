"""A template that writes the date: a run keeps the day on which it began."""

import datetime
import json

import pytest
import transformers.utils.chat_template_utils as clock

from attention.errors import InputError
from tale_jax import search
from tale_jax.commands.lens import lens
from tale_jax.commands.pick import pick


@pytest.fixture
def on_day(monkeypatch):
    """Makes templates believe that it is another day."""

    def set_day(year, month, day):
        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(year, month, day, 12)

        monkeypatch.setattr(clock, "datetime", Clock)

    return set_day


@pytest.mark.nightly  # test_chat.py tells the date
def test_a_run_is_usable_on_another_day(searched, shared, tmp_path, on_day):
    template = shared.parent / "cases" / "date-in-template" / "template.jinja"
    task, how = str(searched / "a.jsonl"), {"template": str(template), "limit": 5, "quiet": True}
    how |= {"test": str(searched / "a-test.jsonl"), "max_drops": 1}

    def run(name, **changes):
        search(str(searched / "tiny"), task, tmp_path / name, **how, **changes)
        return json.loads((tmp_path / name / "settings.json").read_text())

    on_day(2026, 1, 2)
    began = run("a")
    assert began["template_date"] == "2026-01-02"
    (tmp_path / "a" / "summary.json").unlink()
    on_day(2027, 3, 4)
    assert run("a", resume=True) == began
    assert pick(tmp_path / "a", budget_layers=4, quiet=True)["test"]["total"] == 5
    assert lens(run=tmp_path / "a", quiet=True)["rows"][0]["total"] == 5
    again = run("b")
    assert again == began | {"template_date": "2027-03-04"}
    assert run("c", template_date="2026-01-02") == began
    with pytest.raises(InputError, match="other settings"):
        run("a", resume=True, template_date="2027-03-04")


def test_another_template_or_another_row_is_another_task(searched, tmp_path):
    task, template = tmp_path / "task.jsonl", tmp_path / "t.jinja"
    lines = (searched / "a.jsonl").read_text().splitlines()[:7]
    task.write_text("\n".join(lines) + "\n")
    template.write_text("{{ messages[0].content }}>")
    how = {"template": str(template), "max_drops": 1, "quiet": True}
    search(str(searched / "tiny"), str(task), tmp_path / "run", **how)
    template.write_text("{{ messages[0].content }}<")
    with pytest.raises(InputError, match="no longer has the chat template"):
        pick(tmp_path / "run", budget_layers=4, quiet=True)
    template.write_text("{{ messages[0].content }}>")
    task.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(InputError, match="no longer has the examples"):
        pick(tmp_path / "run", budget_layers=4, quiet=True)
