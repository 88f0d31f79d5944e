"""The commands of ``attn``: one function in a file of the same name is one command.

``attention.cli`` lists them; ``attention.command_line`` makes flags, help and checks from their
signatures and docstrings.
"""
