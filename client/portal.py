"""An event loop in a thread in the background, which whoever waits for it may be interrupted."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import Context

import anyio
from anyio.from_thread import BlockingPortal


@contextmanager
def open_portal(name: str) -> Iterator[BlockingPortal]:
    """Runs an event loop in a thread, until the context is left.

    It is anyio's ``start_blocking_portal``, whose thread nobody ends where Ctrl-C comes while it
    starts: the program then waits for it for ever.

    Args:
        name: what the thread is called.
    """
    opened: Future[BlockingPortal] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            if opened.set_running_or_notify_cancel():
                opened.set_result(portal)
                await portal.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve)
        except BaseException as error:  # noqa: BLE001 - it is raised where the portal is waited for
            if not opened.done():
                opened.set_exception(error)

    # In a context of its own: that of the program may say that an event loop runs already.
    thread = threading.Thread(target=Context().run, args=(run,), daemon=True, name=name)
    thread.start()
    interrupted = True
    try:
        portal = opened.result()
        yield portal
        interrupted = False
    finally:
        if not opened.cancel() and opened.exception() is None:
            with suppress(RuntimeError):  # The event loop has failed.
                opened.result().call(opened.result().stop, interrupted)
        thread.join()
