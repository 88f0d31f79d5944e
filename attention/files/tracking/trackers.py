"""Where else the metrics, figures and the report of a run go: the table of trackers.

A tracker is opened at the first thing that a run has to say, so a run that is refused leaves no
trace.  Each run directory is a run of the tracker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import numbers
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from attention.choices import Choices, resolve, trust
from attention.errors import InputError
from attention.files.tracking.events import Event, Listener, heard_by

PROJECT = "tale-jax"
LONGEST = 500  # characters of a setting, which mlflow limits
TRACKED = "tracked.jsonl"


class Sink(Protocol):
    """One run of a tracker."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a step."""

    def file(self, path: Path) -> None:
        """Take a figure, a table or a report."""

    def close(self, finished: bool) -> None:
        """End the run; ``finished`` says whether it ended well."""


Open = Callable[[Path, Mapping[str, Any], str], Sink]
"""Given the run's directory, its settings and the text behind the tracker's name."""


@dataclasses.dataclass(frozen=True)
class Tracker:
    """A row of the table.

    Attributes:
        description: one line about it.
        open: opens a run; None: nothing is tracked.
        text: what follows the name and a colon, such as a project.
    """

    description: str
    open: Open | str | None = None
    text: str = ""


class _Lines:
    """One JSON line for each thing, in the run's directory."""

    def __init__(self, run: Path, settings: Mapping[str, Any], text: str):
        del text
        self._file = (run / TRACKED).open("a", encoding="utf-8")
        self._write(settings=dict(settings))

    def _write(self, **values: Any) -> None:
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self._write(step=step, **values)

    def file(self, path: Path) -> None:
        self._write(file=path.name)

    def close(self, finished: bool) -> None:
        self._write(finished=finished)
        self._file.close()


class _TensorBoard:
    """Event files in the folder ``tensorboard`` of the run."""

    def __init__(self, run: Path, settings: Mapping[str, Any], text: str):
        del text
        import tensorboardX  # pyright: ignore[reportMissingImports]

        self._writer = tensorboardX.SummaryWriter(str(run / "tensorboard"))
        shown = json.dumps(settings, indent=2)
        self._writer.add_text("settings", f"```json\n{shown}\n```")

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def file(self, path: Path) -> None:
        if path.suffix == ".png":
            import matplotlib.image

            image = matplotlib.image.imread(str(path))[:, :, :3]
            self._writer.add_image(path.stem, image, dataformats="HWC")
        elif path.suffix == ".json":
            self._writer.add_text(path.stem, f"```json\n{path.read_text(encoding='utf-8')}\n```")
        else:
            self._writer.add_text("files", f"`{path.name}`")

    def close(self, finished: bool) -> None:
        del finished
        self._writer.close()


class _Wandb:
    """A run of Weights & Biases; WANDB_MODE=offline keeps it in the run's directory."""

    def __init__(self, run: Path, settings: Mapping[str, Any], text: str):
        import wandb  # pyright: ignore[reportMissingImports]

        self._library = wandb
        self._run = wandb.init(
            project=text or PROJECT, name=run.name, dir=str(run), config=dict(settings),
            settings=wandb.Settings(silent=True, console="off"),
        )  # fmt: skip

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def file(self, path: Path) -> None:
        if path.suffix == ".png":
            self._run.log({path.stem: self._library.Image(str(path))})
        elif path.suffix == ".html":
            self._run.log({path.stem: self._library.Html(path.read_text(encoding="utf-8"))})
        self._run.save(str(path), base_path=str(path.parent), policy="now")

    def close(self, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)


class _MLflow:
    """A run of MLflow, where MLFLOW_TRACKING_URI says."""

    def __init__(self, run: Path, settings: Mapping[str, Any], text: str):
        import mlflow  # pyright: ignore[reportMissingImports]

        self._client = mlflow.MlflowClient()
        name = text or PROJECT
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        self._id = self._client.create_run(experiment, run_name=run.name).info.run_id
        for key, value in settings.items():
            shown = value if isinstance(value, str) else json.dumps(value)
            self._client.log_param(self._id, key, shown[:LONGEST])

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._id, name, value, step=step)

    def file(self, path: Path) -> None:
        self._client.log_artifact(self._id, str(path))

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if finished else "FAILED")


def _own(function: Open) -> Tracker:
    """The tracker that ``--tracker module:function`` names."""
    return Tracker((function.__doc__ or "").partition("\n")[0], function)


TRACKERS: Choices[Tracker] = Choices(
    "tracker",
    {
        "none": Tracker("nothing"),
        "jsonl": Tracker("a line for each thing, in OUT/tracked.jsonl", _Lines),
        "tensorboard": Tracker("event files in OUT/tensorboard (extra tensorboard)", _TensorBoard),
        "wandb": Tracker("Weights & Biases, wandb:PROJECT (extra wandb)", _Wandb),
        "mlflow": Tracker("MLflow, mlflow:EXPERIMENT (extra mlflow)", _MLflow),
    },
    own=_own,
    parameters=lambda row, text: dataclasses.replace(row, text=text),
)


class Tracking:
    """Tells a tracker what happens; a listener of :mod:`attention.events`.

    Args:
        name: a row of ``TRACKERS``, or ``name:text``.
    """

    def __init__(self, name: str):
        self._name, self._row = name, TRACKERS.pick(name)
        self._settings: dict[Path, Mapping[str, Any]] = {}
        self._sinks: dict[Path, Sink] = {}

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        if self._row.open is None or event.run is None:
            return
        if event.kind == "start":
            self._settings[event.run] = event.values
        elif event.kind == "end":
            sink = self._sinks.pop(event.run, None)
            if sink is not None:
                sink.close(event.values["finished"])
        elif event.kind == "file":
            self._sink(event.run).file(event.values["path"])
        elif event.kind in ("metrics", "accepted") and event.step is not None:
            values = {name: float(value) for name, value in event.values.items() if _number(value)}
            self._sink(event.run).metrics(event.step, values)

    def _sink(self, run: Path) -> Sink:
        """The run of the tracker, which is opened if it is not yet.

        Raises:
            InputError: the tracker's package is not installed.
        """
        if run not in self._sinks:
            opened: Any = resolve(self._row.open)
            try:
                self._sinks[run] = opened(run, self._settings.get(run, {}), self._row.text)
            except ImportError as error:
                raise InputError(
                    f"--tracker {self._name} needs {error.name}: pip install "
                    f"'tale-jax[{self._name.partition(':')[0]}]'"
                ) from error
        return self._sinks[run]


@contextlib.contextmanager
def tracked(name: str, on_event: Listener | None = None) -> Iterator[None]:
    """Tell the events of the block to a tracker and to a listener.

    Args:
        name: a row of ``TRACKERS``, which a person named; or ``name:text``.
        on_event: called with each event.

    Raises:
        InputError: there is no such tracker.
    """
    trust(name)
    listeners = [] if on_event is None else [on_event]
    if name != "none":
        listeners.append(Tracking(name))
    with heard_by(*listeners):
        yield


def _number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
