"""The table of attributes that other classes compute with is what the script writes."""

import importlib.util
import json
from pathlib import Path

import pytest
import transformers

ROOT = Path(__file__).parents[2]


@pytest.mark.nightly
def test_the_table_is_up_to_date():
    spec = importlib.util.spec_from_file_location(
        "list_attributes", ROOT / "scripts/list_attributes.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    table = json.loads(script.FILE.read_text())
    if table["transformers"] != transformers.__version__:
        pytest.skip(f"the table is of transformers {table['transformers']}")
    assert script.attributes() == table["attributes"]
