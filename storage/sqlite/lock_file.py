"""Lock files: empty files beside a store, of which one process at a time has an exclusive lock.

The system takes a lock (``flock``) back when its holder dies.
"""

import contextlib
import fcntl
import os
from pathlib import Path


def lock_file(store: Path, suffix: str) -> Path:
    """Names a lock file: like the store's file, with a suffix."""
    # SQLite, too, names its files after what a link points to.
    real = store.resolve()
    return real.with_name(real.name + suffix)


def take(lock: Path) -> int | None:
    """Opens and locks the file, making it if need be.

    Returns:
        A descriptor, to be given to ``let_go``; None where somebody else has the lock.

    Raises:
        OSError: it cannot be opened or locked.
    """
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(descriptor, lock):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # Its owner removed it in between: what is there now is another.


def let_go(lock: Path, descriptor: int) -> None:
    """Removes the file, where that is allowed, and gives the lock back."""
    with contextlib.suppress(OSError):  # What is left is in nobody's way.
        lock.unlink()  # Still locked: nobody else can have taken it for theirs.
    os.close(descriptor)


def is_taken(lock: Path) -> bool:
    """Whether somebody has the lock; nothing is made to find out.

    Raises:
        OSError: the file cannot be opened or locked.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
