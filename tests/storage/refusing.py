"""A command whose system calls are refused as some file systems refuse them: ``... CALLS COMMAND``.

The kernel does it, by a filter (https://docs.kernel.org/userspace-api/seccomp_filter.html).
"""

import ctypes
import errno
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_NUMBERS: dict[str, dict[str, tuple[int, ...]]] = {
    "link": {"x86_64": (86, 265), "aarch64": (37,)},
    "chmod": {"x86_64": (90, 268, 452), "aarch64": (53, 452)},
    "fchmod": {"x86_64": (91,), "aarch64": (52,)},
}
"""Of the calls that do it, by machine."""

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


def run_refused(calls: str, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Runs a command that is not permitted some calls.

    Args:
        calls: ``link``, ``chmod`` and ``fchmod``, with commas between them.
        command: with its arguments.
    """
    return subprocess.run(
        [sys.executable, "-m", "tests.storage.refusing", calls, *command],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def _refuse(numbers: Sequence[int]) -> None:
    code = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for place, number in enumerate(numbers):
        code.append(struct.pack("HBBI", _JUMP_IF_EQUAL, len(numbers) - place, 0, number))
    code.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
    code.append(struct.pack("HBBI", _RETURN, 0, 0, _ERROR | errno.EPERM))
    instructions = ctypes.create_string_buffer(b"".join(code))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SECCOMP, _FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "expected to filter system calls")


if __name__ == "__main__":
    _refuse([n for call in sys.argv[1].split(",") for n in _NUMBERS[call][platform.machine()]])
    os.execvp(sys.argv[2], sys.argv[2:])
