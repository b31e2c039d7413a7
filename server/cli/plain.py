"""Plain text: what others have written, shown so that it moves no terminal."""


def plain(text: str) -> str:
    """Writes out what cannot be printed, such as control characters, as Python escapes."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
