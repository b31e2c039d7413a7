"""Query parameters, checked."""

from starlette.requests import Request

from collab.errors import InvalidQuery


def integer(request: Request, name: str, *, default: int, most: int, least: int = 1) -> int:
    """Reads a whole number of ``least`` to ``most`` from the query.

    Raises:
        InvalidQuery: it is something else.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    digits = len(text) <= len(str(most)) and text.isascii() and text.isdigit()
    if not (digits and least <= int(text) <= most):
        raise InvalidQuery(f"expected {name} of {least} to {most}, got {text[:20]!r}")
    return int(text)


def boolean(request: Request, name: str) -> bool:
    """Reads ``true`` or ``false`` from the query; false where it says neither.

    Raises:
        InvalidQuery: it is something else.
    """
    text = request.query_params.get(name, "false")
    if text not in ("true", "false"):
        raise InvalidQuery(f"expected {name} to be true or false, got {text[:20]!r}")
    return text == "true"
