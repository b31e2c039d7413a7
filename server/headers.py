"""Headers of a request, read one at a time: Starlette's mapping costs more than a handshake has."""

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, or None where the request has none.

    Args:
        scope: ASGI scope of the request.
        name: in lower case.
    """
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None
