"""The commands of ``icl``, one function in each file; its signature and docstring are the help."""
