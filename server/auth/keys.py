"""Keys that tokens are checked with: each knows the one algorithm it is good for."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from collab.errors import SettingsError

SECRET_MIN_BYTES = 32
"""Shortest secret for HS256 (RFC 7518, section 3.2): a shorter one can be guessed offline."""
_RSA_MIN_BITS = 2048
"""Shortest RSA key (RFC 7518, section 3.3)."""

_READERS: dict[str, Callable[[dict[str, object]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
"""What reads a JSON Web Key, by its ``kty``."""

Material = bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its algorithm.

    The algorithm follows from the kind of key and never from the token, so that no token can have
    a public key taken for a secret.

    Attributes:
        algorithm: its name in a token's header: HS256, RS256, ES256 or EdDSA.
        material: the secret or the public key.
    """

    algorithm: str
    material: Material


class Keys(Protocol):
    """Where keys come from. Entered while tokens are checked."""

    async def __aenter__(self) -> object:
        """Makes ready."""
        ...

    async def __aexit__(self, *exception: object) -> bool | None:
        """Gives up what it holds."""
        ...

    async def find(self, key_id: str | None) -> Key | None:
        """The key that a token says it is signed with, or None where there is no such key.

        Args:
            key_id: ``kid`` of the token's header; None where it has none.

        Raises:
            KeysUnavailable: no keys could be fetched so far.
        """
        ...


class OneKey(AbstractAsyncContextManager["OneKey"]):
    """The same key for every token, whatever key id it names."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def __aexit__(self, *exception: object) -> None:
        """Does nothing: there is nothing to give up."""

    async def find(self, key_id: str | None) -> Key:
        """The key."""
        return self._key


def read_secret(secret: str) -> Key:
    """Makes a key for HS256.

    Raises:
        SettingsError: the secret is short enough to be guessed.
    """
    encoded = secret.encode()
    if len(encoded) < SECRET_MIN_BYTES:
        raise SettingsError(
            f"expected a secret of {SECRET_MIN_BYTES} bytes or more, got {len(encoded)}"
        )
    return Key("HS256", encoded)


def read_public_key(pem: bytes) -> Key:
    """Makes a key of a PEM file.

    Raises:
        SettingsError: it is no public key, or of a kind that is not used for tokens here.
    """
    try:
        material = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError("expected a public key in PEM, got something else") from error
    key = _key_of(material)
    if key is None:
        raise SettingsError(
            f"expected a key for RS256 (of {_RSA_MIN_BITS} bits or more), ES256 or EdDSA, "
            f"got {type(material).__name__}"
        )
    return key


def read_key_set(document: object) -> dict[str | None, Key]:
    """Reads a JSON Web Key Set (RFC 7517): key id to key.

    Keys that are not for signatures, or of other kinds, are left out, as the RFC has it; so are
    secrets and private keys, which have no place where everyone can read them. Where there is just
    one key, it is the one for tokens that name none.

    Raises:
        ValueError: it is no key set.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("keys"), Sequence):
        raise ValueError("expected a JSON Web Key Set, got something else")
    found: dict[str | None, Key] = {}
    keys = [key for key in map(_read_jwk, document["keys"]) if key is not None]
    for key_id, key in keys:
        found.setdefault(key_id, key)
    if len(keys) == 1:
        found[None] = keys[0][1]
    elif len(keys) > 1:
        found.pop(None, None)
    return found


def _read_jwk(jwk: object) -> tuple[str | None, Key] | None:
    if not isinstance(jwk, Mapping) or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    read = _READERS.get(str(jwk.get("kty")))
    if read is None:
        return None
    try:
        key = _key_of(read(dict(jwk)))
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    key_id = jwk.get("kid")
    if key is None or jwk.get("alg", key.algorithm) != key.algorithm:
        return None
    return (key_id if isinstance(key_id, str) else None), key


def _key_of(material: object) -> Key | None:
    """Finds the algorithm that a public key is for; None where it is none of ours."""
    if isinstance(material, RSAPublicKey) and material.key_size >= _RSA_MIN_BITS:
        return Key("RS256", material)
    if isinstance(material, EllipticCurvePublicKey) and isinstance(material.curve, SECP256R1):
        return Key("ES256", material)
    if isinstance(material, Ed25519PublicKey):
        return Key("EdDSA", material)
    return None
