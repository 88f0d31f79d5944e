"""Errors that a command turns into one line and an exit code."""

import errno
import os

FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)))


class InputError(ValueError):
    """Bad input; the message is one line that says what is wrong and what to do.

    Commands print it and exit with code 2; a caller in Python sees an ordinary ValueError.
    """


class Preempted(Exception):  # noqa: N818 - nothing went wrong
    """The machine asked the work to stop; all that was done is saved.

    Commands print the message and exit with code 75; the run can go on later.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the host or a device ran out of memory, in the words of any backend of JAX."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        "RESOURCE_EXHAUSTED" in text or ("INTERNAL" in text and "out of memory" in text.lower())
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether a disk could not take or give what it should, in the words of any library."""
    text = str(error)
    return any(reason in text for reason in FULL)
