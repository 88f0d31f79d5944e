"""The commands of ``attn``: each is one function, in a file of the same name.

``attention.cli`` lists them.  ``attention.command_line`` makes flags, help and checks from their
signatures and docstrings.
"""
