"""Units of long work, and the names of their files."""

import json

import pytest

from attention.files import file_name, finished


def test_a_unit_is_computed_once(tmp_path):
    file = tmp_path / "new" / "unit.json"
    found = finished(file, lambda: {"error": 0.25, "where": tmp_path})
    assert found == {"error": 0.25, "where": str(tmp_path)}
    assert json.loads(file.read_text())["minutes"].keys() == {"clock", "processors"}
    assert finished(file, lambda: pytest.fail("it is finished")) == found


def test_a_unit_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        finished(tmp_path / "new" / "unit.json", lambda: 1 / 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LayerNorm, softmax", "LayerNorm-softmax"),
        ("N(0, 10)", "N-0-10"),
        ("3l4ah softmax/ssa", "3l4ah-softmax-ssa"),
        ("package:all-minilm-l6", "package-all-minilm-l6"),
        ("../x", "..-x"),
    ],
)
def test_a_name_is_one_file(name, expected):
    assert file_name(name) == expected
