"""The modules of this folder are a program too, ``python -m faults``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
