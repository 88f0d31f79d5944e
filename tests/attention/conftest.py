"""Checkpoints compared, spoilt, and refused; what a command is told."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attention.command_line import run_script
from attention.errors import InputError
from attention.transformer import load_pretrained


def same(found, expected):
    """Equal trees, to the bit."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)

    def equal(one, other):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()

    jax.tree.map(equal, found, expected)


def refused(folder, *messages):
    """Loading fails with one line that says all of this."""
    with pytest.raises(InputError) as caught:
        load_pretrained(folder)
    text = str(caught.value)
    assert "\n" not in text
    for message in messages:
        assert message in text, text


def edit_config(folder, **changes):
    file = folder / "config.json"
    hf = json.loads(file.read_text())
    for name, value in changes.items():
        hf.pop(name, None) if value is ... else hf.update({name: value})
    file.write_text(json.dumps(hf))


def edit_tensors(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edited = edit(tensors)
    save_file(tensors if edited is None else edited, folder / "model.safetensors", {"format": "pt"})


def told(function, *words):
    """What a command got of words, as Python has it."""
    found = []

    def catch(**given):
        found.append(given)

    original, function.command.function = function.command.function, catch
    try:
        run_script(function, words)
    finally:
        function.command.function = original
    return found[0]


@pytest.fixture(name="told", scope="session")
def told_fixture():
    return told


@pytest.fixture(name="same", scope="session")
def same_fixture():
    return same


@pytest.fixture(name="refused", scope="session")
def refused_fixture():
    return refused


@pytest.fixture(name="edit_config", scope="session")
def edit_config_fixture():
    return edit_config


@pytest.fixture(name="edit_tensors", scope="session")
def edit_tensors_fixture():
    return edit_tensors
