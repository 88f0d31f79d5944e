"""The table of attributes that other classes compute with is what the script writes."""

import json
from pathlib import Path

import pytest
import transformers

ROOT = Path(__file__).parents[2]


@pytest.mark.nightly
def test_the_table_is_up_to_date(load_script):
    script = load_script("list_attributes")
    table = json.loads(script.FILE.read_text())
    if table["transformers"] != transformers.__version__:
        pytest.skip(f"the table is of transformers {table['transformers']}")
    assert script.attributes() == table["attributes"]
