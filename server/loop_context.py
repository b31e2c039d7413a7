"""Loop context: where anyio works in what the event loop calls by itself, outside of tasks."""

from contextvars import Context, copy_context


def loop_context() -> Context:
    """Returns a context for calls that asyncio makes outside of tasks, such as timers.

    Where sniffio is installed anyio asks it for the event loop, and outside of tasks it knows of
    none unless the context says so. ``anyio.run`` sees to that; uvicorn and Hypercorn, which start
    the loop by themselves, do not, and no task could be started there.
    """
    context = copy_context()
    try:
        import sniffio
    except ImportError:  # anyio asks the loop itself.
        return context
    context.run(sniffio.current_async_library_cvar.set, "asyncio")
    return context
