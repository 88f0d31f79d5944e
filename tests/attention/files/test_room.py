"""The room is light: nothing heavy is imported before it is used."""

import subprocess
import sys


def test_importing_the_room_imports_nothing_heavy():
    heavy = {"jax", "numpy", "scipy", "matplotlib", "transformers", "filelock"}
    code = (
        "import sys, attention.files\n"
        "attention.files.write_text, attention.files.read_json, attention.files.cache_folder\n"
        f"print(*({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_public_name_is_there():
    import attention.files

    assert len(attention.files.__all__) > 20
    for name in attention.files.__all__:
        assert hasattr(attention.files, name), name
