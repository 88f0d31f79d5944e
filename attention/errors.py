"""The error that is the user's to mend."""


class InputError(ValueError):
    """Bad input; the message is one line that says what is wrong and what to do.

    Commands print it and exit with code 2; a caller in Python sees an ordinary ValueError.
    """
