"""Keys: each is good for one algorithm, and keys that are none are refused."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from collab.errors import SettingsError
from collab.server.auth.keys import Key, read_key_set, read_public_key, read_secret
from tests.server.signing import public_jwk, public_pem

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_key_is_for_the_algorithm_of_its_kind(algorithm: str) -> None:
    assert read_public_key(public_pem(algorithm)).algorithm == algorithm


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
    ],
    ids=["short RSA", "another curve"],
)
def test_a_key_of_another_kind_is_refused(key: Any) -> None:
    with pytest.raises(SettingsError, match="expected a key for RS256"):
        read_public_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("pem", [b"", b"secret", b"-----BEGIN PUBLIC KEY-----\n"])
def test_a_file_that_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(SettingsError, match="expected a public key in PEM, got something else"):
        read_public_key(pem)


def test_a_secret_has_thirty_two_bytes() -> None:
    assert read_secret("é" * 16) == Key("HS256", "é".encode() * 16)
    with pytest.raises(SettingsError, match="of 32 bytes or more, got 31"):
        read_secret("x" * 31)


class TestKeySet:
    def test_keys_are_found_by_their_id(self) -> None:
        keys = read_key_set({"keys": [public_jwk(a, a.lower()) for a in ALGORITHMS]})
        assert {key_id: key.algorithm for key_id, key in keys.items()} == {
            "rs256": "RS256",
            "es256": "ES256",
            "eddsa": "EdDSA",
        }

    @pytest.mark.parametrize("key_id", ["a", None])
    def test_a_single_key_is_for_tokens_that_name_none(self, key_id: str | None) -> None:
        keys = read_key_set({"keys": [public_jwk("ES256", key_id)]})
        assert keys[None].algorithm == "ES256"
        assert keys.keys() == {None, key_id}

    def test_of_several_without_an_id_none_is_taken(self) -> None:
        assert read_key_set({"keys": [public_jwk("ES256", None), public_jwk("EdDSA", None)]}) == {}

    @pytest.mark.parametrize(
        "change",
        [
            {"use": "enc"},
            {"alg": "RS512"},
            {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode()},
            {"kty": "new"},
            {"n": "AQAB"},
            {"n": 5},
            {"d": "AQAB"},
        ],
        ids=str,
    )
    def test_a_key_that_is_not_for_this_is_left_out(self, change: dict[str, Any]) -> None:
        other = public_jwk("ES256", "other")
        keys = read_key_set({"keys": [{**public_jwk("RS256", "a"), **change}, other, "x"]})
        assert keys.keys() == {"other", None}

    @pytest.mark.parametrize("document", [[], {}, {"keys": 1}, "keys", None])
    def test_what_is_no_key_set_is_refused(self, document: object) -> None:
        with pytest.raises(ValueError, match="expected a JSON Web Key Set"):
            read_key_set(document)
