"""What every store refuses before it writes or reads."""

from collections.abc import Sequence

from collab.errors import InvalidName, StoreError
from collab.store import Append


def check_appends(appends: Sequence[Append]) -> None:
    """Refuses an ``append`` call that names a document twice.

    Raises:
        StoreError: two of ``appends`` are for one document.
    """
    if len({append.document for append in appends}) == len(appends):
        return
    seen = set()
    for append in appends:
        if append.document in seen:
            raise StoreError(
                f"expected at most one append for each document, got two for {append.document!r}"
            )
        seen.add(append.document)


def check_author(author: str) -> str:
    """Returns the author if it can be stored.

    Raises:
        StoreError: it holds half a surrogate pair, which has no UTF-8 form.
    """
    if not _is_whole(author):
        raise StoreError(f"expected an author of whole characters, got {author!r}")
    return author


def check_bounds(prefix: str, after: str) -> None:
    """Refuses bounds of a listing that no name could be compared with.

    Raises:
        InvalidName: one of them holds half a surrogate pair, which has no UTF-8 form.
    """
    for bound in (prefix, after):
        if not _is_whole(bound):
            raise InvalidName(f"expected names of whole characters, got {bound!r}", bound)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
