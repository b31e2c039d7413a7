"""Searching names: the words somebody remembers of one."""

import unicodedata

from starlette.requests import Request

from collab.errors import InvalidQuery

_SEARCH_MAX_BYTES = 512
"""As long as a name may be: each word is looked for in thousands of names."""


class Search:
    """Words that a name has, whatever their order, case and accents: part of a word is enough."""

    def __init__(self, text: str) -> None:
        self._words = frozenset(_fold(text).split())

    def __bool__(self) -> bool:
        return bool(self._words)

    def finds(self, name: str) -> bool:
        """Whether a name has all the words."""
        folded = _fold(name)
        return all(word in folded for word in self._words)


def search_of(request: Request) -> Search:
    """Reads ``?search=`` of a request; without it every name is found.

    Raises:
        InvalidQuery: it is longer than any name.
    """
    text = request.query_params.get("search", "")
    size = len(text.encode())
    if size > _SEARCH_MAX_BYTES:
        raise InvalidQuery(f"expected search of at most {_SEARCH_MAX_BYTES} bytes, got {size}")
    return Search(text)


def _fold(text: str) -> str:
    """Letters of either case, and those with accents and without, as the same ones."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if unicodedata.category(part) != "Mn").casefold()
