"""Pieces: inputs cut into several messages, whatever bytes they are."""

from collections.abc import Iterator


def pieces(given: bytes) -> Iterator[tuple[int, bytes]]:
    """Cuts an input: a byte that chooses, a length in two bytes, and so many bytes or the rest."""
    position = 0
    while position + 3 <= len(given):
        size = int.from_bytes(given[position + 1 : position + 3], "little")
        yield given[position], given[position + 3 : position + 3 + size]
        position += 3 + size


def joined(*chosen: tuple[int, bytes]) -> bytes:
    """Joins what ``pieces`` cuts."""
    return b"".join(
        bytes([choice]) + len(piece).to_bytes(2, "little") + piece for choice, piece in chosen
    )
