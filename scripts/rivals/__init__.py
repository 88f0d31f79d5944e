"""The programs that ours are timed against, written plainly in torch."""

import importlib.util
import sys

if importlib.util.find_spec("torch") is None:
    print("the rival needs torch: pip install torch==2.13.0", file=sys.stderr)
    sys.exit(2)
