"""A full disk, without one: the system refuses every write to a file."""

import resource
from contextlib import contextmanager


@contextmanager
def full_disk():
    """Let every write of this process, and of those that it starts, fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
