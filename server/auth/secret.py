"""Secret: a token that lets its bearer in, kept so that nothing tells it."""

import hashlib
import hmac


class Secret:
    """What is kept of a token: its SHA-256, which can be compared and looked up by.

    Comparing takes as long whatever the two have in common, and so does looking one up: whoever
    tries tokens cannot choose their digests, and learns nothing from how long it takes. The token
    itself is not kept. A secret is never equal to text.

    Args:
        token: the token, with more randomness than anybody can try.
    """

    __slots__ = ("_digest",)

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._digest, other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return "Secret(...)"
