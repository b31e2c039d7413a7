"""Query parameters, checked."""

from starlette.requests import Request

from collab.errors import InvalidQuery


def integer(request: Request, name: str, *, default: int, most: int) -> int:
    """Reads a whole number of 1 to ``most`` from the query.

    Raises:
        InvalidQuery: it is something else.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise InvalidQuery(f"expected {name} of 1 to {most}, got {text!r}")
    return int(text)
