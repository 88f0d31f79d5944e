"""Tasks, classes of functions, designs and orders are rows; a row may come from outside."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import icl
from attention.errors import InputError
from icl.tasks import (
    LOGISTIC,
    PROMPTINGS,
    TASKS,
    Normal,
    Prompting,
    PromptOptions,
    Prompts,
    Sampling,
    Task,
    TaskRow,
    task_asked,
)
from icl.tasks.functions import FUNCTIONS, Affine, FunctionTask, function_class
from icl.tasks.quantifiers import DESIGNS, Quantifiers
from icl.training import Experiment

NORMAL = Normal(0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class RunningMean(Task):
    """The mean of the numbers so far."""

    inputs: Normal = NORMAL
    points: int = 41

    def sample(self, key, step=0, batch=64, change=None):
        x_BTD = self.inputs.sample(key, (batch, self.points, 1))
        x_BTD = x_BTD if change is None else change(x_BTD)
        mean_BT = jnp.cumsum(x_BTD[:, :, 0], axis=1) / jnp.arange(1, self.points + 1)[None]
        return Prompts(x_BTD, mean_BT, jnp.ones((1, self.points), bool))


@pytest.fixture
def tables():
    """The tables are as before afterwards."""
    before = [(each, dict(each)) for each in (TASKS, FUNCTIONS, PROMPTINGS, DESIGNS)]
    yield
    for table, rows in before:
        table.clear()
        table.update(rows)


@pytest.mark.nightly  # test_docs.py runs that of the page about extending
def test_a_kind_of_task_from_outside(tables, tmp_path, table, server):
    """One class and one row: it is trained, tested, drawn, and asked as text."""
    TASKS["running-mean"] = TaskRow(RunningMean)
    small = {"points": 7, "batch": 5, "steps": 3, "dispatch": 3, "save_every": 3, "log_every": 3}
    run = tmp_path / "run"
    icl.train(preset="running-mean-1l1ah", out=run, hidden_size=6, quiet=True, **small)
    sweep = ("points=5,7",)
    found = icl.evaluate(out=tmp_path / "out", run=run, predictors="zero", sweep=sweep, prompts=11)
    assert [row["predictor"] for row in found["errors"]] == ["zero", "run"] * 2
    assert found["errors"][0]["error_over_zero"] == 1 and (tmp_path / "out/errors.png").exists()
    with server(content="0") as (seen, url):
        asked = {"task": "running-mean", "points": 7, "count": 5, "examples": 2}
        found = icl.ask(model="m", endpoint=url, out=tmp_path / "asked", run=run, **asked)
    assert [row["predictor"] for row in found["errors"]] == ["m", "run"]
    assert found["errors"][0]["error_over_zero"] == 1 and len(seen.seen) == 5
    with pytest.raises(InputError, match="runningmean has no design: it has inputs, points"):
        icl.train(preset="running-mean-1l1ah", out=tmp_path / "no", design="late")


def test_a_task_by_the_name_of_its_class(tmp_path, monkeypatch):
    (tmp_path / "my_kinds_of_tasks.py").write_text(
        "import dataclasses\nfrom icl.tasks.functions import FunctionTask\n"
        "@dataclasses.dataclass(frozen=True)\nclass Mine(FunctionTask):\n    points: int = 5\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = Experiment("my_kinds_of_tasks:Mine-1l1ah", inputs="uniform:0,1").task()
    assert type(task).__name__ == "Mine" and task.points == 5


def test_a_class_of_functions_from_outside(tables):
    class Doubled(Affine):
        name = "doubled"

        def value(self, coefficients, x_TD):
            return 2 * super().value(coefficients, x_TD)

    FUNCTIONS["doubled"] = Doubled
    task = TASKS["linear"].make(functions="doubled:d=2@uniform:0,1", points=5)
    plain = TASKS["linear"].make(functions="affine:d=2@uniform:0,1", points=5)
    ours, theirs = (each.sample(jax.random.key(0), 0, 3).y_BT for each in (task, plain))
    np.testing.assert_allclose(ours, 2 * theirs, rtol=1e-6)


def test_an_order_and_a_design_from_outside(tables):
    PROMPTINGS["falling"] = Prompting(places=lambda x_BTD: jnp.argsort(-x_BTD[:, :, 0], axis=1))
    task = TASKS["linear"].make(points=7)
    (setting,) = task.settings(["prompt=falling"])
    assert (np.diff(task.draw(setting, Sampling(3, 5)).x_BTD[:, :, 0], axis=1) < 0).all()
    DESIGNS["never"] = lambda key, x_BT, every_B1, rate: jnp.where(every_B1, 1, -1) * abs(x_BT)
    assert "never" in [each["design"] for each in Quantifiers().settings()]
    prompts = Quantifiers("some", design="never").sample(jax.random.key(0), 0, 5)
    assert (prompts.y_BT == -1).all()


def test_options_make_a_task():
    task = TASKS["chebyshev"].make(functions="uniform:0,1", inputs="uniform:-1,1", points=7)
    assert (str(task.functions), str(task.coefficients)) == ("chebyshev:degree=5", "uniform:0,1")
    assert TASKS["every"].make(labels=False) == Quantifiers("every", labels=False)
    plan = TASKS["linear"].make(point_curriculum="3:7:2:10", points=7)
    assert plan.point_curriculum.end == 7
    assert plan.changed(points=5).point_curriculum is None  # a test has no curriculum
    for name, options, said in (
        ("every", {"functions": "affine"}, "every has no functions: it has inputs, points, design"),
        ("linear", {"labels": False}, "affine has no labels: it has functions"),
        ("mix", {"labels": False}, "nothing tells"),
        ("every", {"design": "early"}, "unknown design 'early'"),
    ):
        with pytest.raises(InputError, match=said):
            TASKS[name].make(**options)


def test_the_task_that_is_asked():
    learned = FunctionTask(function_class("linear:d=3"), points=11)
    assert task_asked(PromptOptions()) == FunctionTask()
    assert task_asked(PromptOptions(), learned) == learned
    assert task_asked(PromptOptions(points=7), learned).points == 7
    assert task_asked(PromptOptions(functions="every")) == Quantifiers("every")
    assert task_asked(PromptOptions(functions="linear")).functions == function_class("linear")
    assert task_asked(PromptOptions(task="linear"), learned).functions == Affine()
    assert task_asked(PromptOptions(task="some", labels=False)).loss is LOGISTIC
    both = PromptOptions(functions="tree@uniform:0,1", coefficients="normal:3,1")
    assert str(task_asked(both).coefficients) == "normal:3,1"
    with pytest.raises(InputError, match="every has no coefficients"):
        task_asked(PromptOptions(functions="every", coefficients="normal:0,1"))
    with pytest.raises(InputError, match="unknown task 'nothing'"):
        task_asked(PromptOptions(task="nothing"))
