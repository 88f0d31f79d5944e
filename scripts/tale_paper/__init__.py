"""Parts of ``reproduce_tale.py``: the paper's tables, the units of work, and the verdicts."""
