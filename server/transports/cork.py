"""Cork: what a connection is sent in one go leaves in one segment.

Each segment costs both kernels some microseconds, and crowds come back all at once.
Source: tcp(7), ``TCP_CORK``.
"""

import asyncio
import socket
from typing import Final

_OPTION: Final[int | None] = getattr(socket, "TCP_CORK", None)
CAN_CORK: Final = _OPTION is not None
"""Whether sockets of TCP can be corked: only Linux does."""


def cork(transport: asyncio.BaseTransport, *, on: bool) -> None:
    """Has what is sent wait, for 200 ms at most, or leave.

    Args:
        transport: of a socket of TCP, where they can be corked.
        on: whether it waits.
    """
    if not transport.is_closing():
        assert _OPTION is not None
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _OPTION, on)
