"""Plain text: what others have written, shown so that it moves no terminal."""


def plain(text: str) -> str:
    """Writes out what cannot be printed, such as control characters, as Python escapes."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def plain_lines(text: str) -> str:
    """The same, but for line breaks and tabs, which stay."""
    return "".join(each if each in "\n\t" else plain(each) for each in text)
