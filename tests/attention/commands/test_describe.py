"""What ``attn describe`` says of a checkpoint."""

from attention.cli import main
from attention.commands.describe import describe


def test_what_is_ignored_is_listed(edit_config, write_model, tmp_path, capsys):
    folder = write_model(tmp_path / "model")
    edit_config(folder, unsloth_version="2025.8.9", neftune_noise_alpha=5.0, eos_token_id=2)
    found = describe(folder)
    assert found["ignored"] == {"unsloth_version": "2025.8.9", "neftune_noise_alpha": 5.0}
    main(["describe", "--model", str(folder)])
    assert "ignored in config.json: unsloth_version, neftune_noise_alpha" in capsys.readouterr().out


def test_the_bundled_model(capsys):
    found = describe("demo")
    assert found["config"]["head"] == "sequence"
    assert sum(found["parts"].values()) == found["parameters"] > 10_000
    main(["describe", "--model", "demo"])
    assert f"{found['parameters']:,}" in capsys.readouterr().out
