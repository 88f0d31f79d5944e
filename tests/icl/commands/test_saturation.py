"""``icl saturation``."""

import json

import numpy as np

from icl.cli import main


def test_saturation(run, tmp_path, capsys, table):
    main(["saturation", "--run", str(run), "--count", "5", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "saturation.json").read_text())
    np.testing.assert_allclose(found["observed_limits"], found["limits_from_weights"], atol=1e-4)
    assert found["effective_bound"][0] > 0
    low, high = found["plateau_along_slopes"]
    assert low < high and (tmp_path / "boundary.png").exists()
    assert len(table(tmp_path / "entropy.csv")) == 6 * 2
    out = capsys.readouterr().out
    assert "limits from weights" in out and "B_eff" in out
