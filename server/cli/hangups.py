"""Hang-ups: a terminal that is closed, or a session that ends, ends a server in order."""

import os
import signal
from types import FrameType


def heed_hangups() -> None:
    """Has SIGHUP do what SIGTERM does; under nohup it goes on to do nothing."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _stop)


def ignore_hangups() -> None:
    """Has SIGHUP do nothing: shells and systemd send it along with another signal, or twice."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_hangups()
    os.kill(os.getpid(), signal.SIGTERM)
