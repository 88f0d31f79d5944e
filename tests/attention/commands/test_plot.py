"""`attn plot`: what it refuses; what it draws is tested where models learn."""

import pytest

from attention import cli


def test_plotting_what_is_not_there(tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "loss": 1.0}\n')
    for run, out, message in (
        (tmp_path, "x.svg", "watch=learned_values"),
        (tmp_path / "no", "x.svg", "no metrics"),
        (tmp_path, "x.bmpp", "ends in"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["plot", "--run", str(run), "--out", str(tmp_path / out)])
        assert message in capsys.readouterr().err
