"""Groups of options that all programs share."""

import inspect

import pytest

from attention.command_line import command
from attention.errors import InputError
from attention.options import Devices, Display, Hub, Seed, parse_mesh


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("", {}),
        ("model=3", {"model": 3}),
        (" data = -1 , model=5,fsdp=7", {"data": -1, "model": 5, "fsdp": 7}),
        ("dcn=2", {"dcn": 2}),
    ],
)
def test_an_axis_left_out_is_one(text, axes):
    whole = {"dcn": 1, "data": 1, "fsdp": 1, "model": 1, **axes}
    assert parse_mesh(text) == whole == Devices(text).axes


@pytest.mark.parametrize("text", ["data", "data=", "data=0", "data=-2", "rows=2", "data=1.5", "=2"])
def test_a_bad_mesh_is_refused_when_it_is_given(text):
    with pytest.raises(InputError, match="--mesh is written data=4,model=2"):
        Devices(text)


def test_the_shared_flags_fit_into_one_command():
    @command
    def train(
        *,
        seed: Seed = 0,
        hub: Hub = Hub(),
        devices: Devices = Devices(),
        display: Display = Display(),
    ): ...

    names = list(inspect.signature(train).parameters)
    assert names == ["seed", "revision", "mesh", "sharding", "dtype", "quiet"]
    for seed in (-1, 2**32):
        with pytest.raises(InputError, match=r"--seed must be at least 0 and below 4294967296"):
            train(seed=seed)
