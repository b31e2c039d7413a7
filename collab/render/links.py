"""Addresses and colours that are safe to write into markup."""

import re

_UNSEEN = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):")
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "ftp", "sms", "xmpp"})
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|avif);base64,[a-zA-Z0-9+/=]+$")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,30}|(?:rgb|hsl)a?\([0-9.,%/ ]{1,60}\)")


def safe_link(address: object) -> str | None:
    """A link's address, or None where following it could run a script.

    Args:
        address: as stored; relative ones are fine, of schemes only those that open pages, mail,
            telephone and chat. Browsers skip control characters and spaces in a scheme, so those
            are not seen here either.
    """
    if not isinstance(address, str) or not address.strip():
        return None
    scheme = _SCHEME.match(_UNSEEN.sub("", address))
    if scheme and scheme[1].lower() not in _SCHEMES:
        return None
    return address.strip()


def safe_image(address: object) -> str | None:
    """An image's address, or None where it has none that is safe; pictures in data: are."""
    if isinstance(address, str) and _IMAGE.match(address):
        return address
    return safe_link(address)


def safe_colour(colour: object) -> str | None:
    """A CSS colour, or None where it is none."""
    return colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else None
