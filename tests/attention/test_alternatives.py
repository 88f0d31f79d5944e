"""A tuple of numbers, or one word in its place."""

from typing import Annotated, Literal

import pytest

from attention.command_line import (
    Between,
    command,
    run_script,
)


def choose(
    *, layers: tuple[Annotated[int, Between(ge=0)], ...] | Literal["all"] | None = None
) -> None:
    """Choose layers."""


def test_a_tuple_may_have_an_alternative(capsys, told):
    chosen = command(choose)
    for words, python in (("3,all", (3, "all")), ("none", None), ("", ()), ("all", "all")):
        found = told(chosen, f"--layers={words}")["layers"]
        assert found == ((python,) if python == "all" else python)
        assert chosen.command.bind((), {"layers": python})["layers"] == found
    with pytest.raises(SystemExit):
        run_script(chosen, ["--layers", "3,some"])
    assert "--layers must be all or a whole number, not 'some'" in capsys.readouterr().err
