"""Upload of an export to the hub."""

from __future__ import annotations

import tempfile
from pathlib import Path

from attention.errors import InputError
from tale_jax.formats.card import HUB_NAME
from tale_jax.formats.export import Export

UPLOADED = ("huggingface", "tale")


def push(export: Export, name: str, out: Path | None, private: bool = False) -> str:
    """Upload a checkpoint with its model card.

    ``HF_ENDPOINT`` names another hub, and ``HF_TOKEN`` the token, as for `huggingface_hub`.

    Args:
        export: the model; its format is one of ``UPLOADED``.
        name: ``USER/NAME``.
        out: the folder that was written; None: one is written for the upload alone.
        private: make a new repository private.

    Returns:
        The address of the repository.

    Raises:
        InputError: the name or the format does not fit, or the hub refuses.
    """
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    check_push(name, export.format)
    with tempfile.TemporaryDirectory() as scratch:
        folder = out
        if folder is None:
            folder = Path(scratch) / "model"
            export.write(folder)
        api = huggingface_hub.HfApi()
        try:
            url = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=name, folder_path=folder, commit_message=f"tale export: {export}"
            )
        except LocalTokenNotFoundError:
            raise InputError("--push needs a token of the hub: hf auth login") from None
        except (HfHubHTTPError, OSError, ValueError) as error:
            response = getattr(error, "response", None)
            code = "" if response is None else f" ({response.status_code})"
            raise InputError(
                f"--push {name}: the hub refuses or is not reached{code}; what is in --out stays"
            ) from error
    return str(url)


def check_push(name: str, format: str) -> None:
    """Check what can be uploaded, before anything is written.

    Raises:
        InputError: the name is not ``USER/NAME``, or the format is no folder.
    """
    if not HUB_NAME.fullmatch(name):
        raise InputError(f"--push is written USER/NAME, not {name!r}")
    if format not in UPLOADED:
        raise InputError(f"--push takes --format {' or '.join(UPLOADED)}, not {format}")
