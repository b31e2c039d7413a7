"""Tokens: which are taken, and what they say of who brings them."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from collab.access import Access, Grants, Identity
from collab.errors import Unauthenticated
from collab.server.auth.bearer import choose_subprotocol, find_token
from collab.server.auth.key_set import KeySet
from collab.server.auth.keys import OneKey, read_public_key, read_secret
from collab.server.auth.tokens import Tokens
from tests.server.signing import SECRET, Provider, private_key, public_jwk, public_pem, token

pytestmark = pytest.mark.anyio


def checking(**options: Any) -> Tokens:
    return Tokens(OneKey(read_secret(SECRET)), **options)


def handshake(
    *, query: str = "", authorization: str | None = None, subprotocols: str | None = None
) -> HTTPConnection:
    headers = {"authorization": authorization, "sec-websocket-protocol": subprotocols}
    return HTTPConnection(
        {
            "type": "websocket",
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items() if v is not None],
        }
    )


async def test_a_token_names_somebody_and_what_they_may_do() -> None:
    documents = {"team/*": "write", "team/secret": "none", "board": "admin", "**": "read"}
    expires = int(time.time()) + 60
    identity = await checking(leeway_seconds=5).verify(
        token(user="ana", name="Ana", jti="t1", exp=expires, docs=documents)
    )
    assert identity == Identity(
        id="ana",
        name="Ana",
        access=Access.NONE,
        grants=Grants(
            {
                "team/*": Access.WRITE,
                "team/secret": Access.NONE,
                "board": Access.ADMIN,
                "**": Access.READ,
            }
        ),
        token_id="t1",
        expires_at=expires + 5,
    )


async def test_an_admin_s_token_is_good_for_everything() -> None:
    identity = await checking().verify(token())
    assert identity.access_to_all is identity.access_to("x") is Access.ADMIN


async def test_a_token_that_says_nothing_of_documents_is_good_for_none() -> None:
    identity = await checking().verify(token(collab={}))
    assert identity.access_to("x") is identity.access_to_all is Access.NONE


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_public_keys_check_tokens(algorithm: str) -> None:
    tokens = Tokens(OneKey(read_public_key(public_pem(algorithm))))
    signed = token(key=private_key(algorithm), algorithm=algorithm)
    assert (await tokens.verify(signed)).id == "ana"
    head, body, _ = signed.split(".")
    _, _, signature = token(key=private_key(algorithm), algorithm=algorithm, user="x").split(".")
    with pytest.raises(Unauthenticated, match="valid signature"):
        await tokens.verify(f"{head}.{body}.{signature}")


async def test_a_key_set_s_keys_check_tokens_that_name_them() -> None:
    provider = Provider(public_jwk("RS256", "a"), public_jwk("ES256", "b"))
    async with provider.serving(), Tokens(KeySet(provider.url)) as tokens:
        for algorithm, known in (("RS256", "a"), ("ES256", "b")):
            signed = token(key=private_key(algorithm), algorithm=algorithm, key_id=known)
            assert (await tokens.verify(signed)).id == "ana"
        for key_id in (None, "b", "c"):
            signed = token(key=private_key("RS256"), algorithm="RS256", key_id=key_id)
            with pytest.raises(Unauthenticated, match="signed with a trusted key"):
                await tokens.verify(signed)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


class TestRefusals:
    @pytest.mark.parametrize(
        ("claims", "complaint"),
        [
            ({"seconds": -60}, "still valid, got one that has expired"),
            ({"nbf": 4_102_444_800}, "valid already, got one for later"),
            ({"aud": "others"}, "for another audience"),
            ({"exp": None}, "with the claim exp, got one without"),
            ({"sub": None}, "with the claim sub, got one without"),
            ({"sub": ""}, "expected a token with a subject"),
            ({"sub": "\ud83d"}, "lone surrogate"),
            ({"name": "\ud83d"}, "lone surrogate"),
            ({"exp": 10**400}, "exp of a token before the year 10000"),
            ({"exp": 1e306}, "exp of a token before the year 10000"),
            ({"iat": -(10**400)}, "iat of a token before the year 10000"),
            ({"sub": 5}, "got something else"),
            ({"exp": "soon"}, "got something else"),
            ({"jti": 5}, "got something else"),
            ({"name": ["Ana"]}, "the claim name of a token to be str, got list"),
            ({"collab": []}, "the claim collab of a token to be dict, got list"),
            ({"collab": {"docs": "*"}}, "the claim docs of a token to be dict, got str"),
            ({"collab": {"admin": "yes"}}, "the claim admin of a token to be bool, got str"),
            ({"docs": {"a": "own"}}, "an access of none, read, write, admin, got 'own'"),
            ({"docs": {"a": 2}}, "an access of none, read, write, admin, got 2"),
            ({"docs": {"": "read"}}, "expected a pattern of document names"),
        ],
        ids=str,
    )
    async def test_a_claim_that_is_wrong(self, claims: dict[str, Any], complaint: str) -> None:
        with pytest.raises(Unauthenticated, match=complaint):
            await checking().verify(token(**claims))

    async def test_an_audience_and_an_issuer_that_were_not_asked_for(self) -> None:
        tokens = checking(audience="collab", issuer="https://id.example")
        good: dict[str, Any] = {"aud": ["collab", "x"], "iss": "https://id.example"}
        assert (await tokens.verify(token(**good))).id == "ana"
        wrong: list[tuple[dict[str, Any], str]] = [
            ({**good, "aud": "x"}, "for another audience"),
            ({**good, "iss": "https://id.example/"}, "got one of another"),
            ({"iss": good["iss"]}, "with the claim aud, got one without"),
            ({"aud": good["aud"]}, "with the claim iss, got one without"),
        ]
        for claims, complaint in wrong:
            with pytest.raises(Unauthenticated, match=complaint):
                await tokens.verify(token(**claims))

    async def test_clocks_may_be_apart_by_the_leeway_and_no_more(self) -> None:
        late = token(seconds=-30)
        assert (await checking(leeway_seconds=60).verify(late)).id == "ana"
        with pytest.raises(Unauthenticated, match="expired"):
            await checking(leeway_seconds=0).verify(late)

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 5, ["HS256"]])
    async def test_a_token_that_nobody_signed(self, algorithm: object) -> None:
        body = encoded({"sub": "eve", "exp": int(time.time()) + 60, "collab": {"admin": True}})
        for signature in ("", encoded("x")):
            unsigned = f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{body}.{signature}"
            with pytest.raises(Unauthenticated):
                await checking().verify(unsigned)

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    async def test_a_public_key_taken_for_a_secret(self, algorithm: str) -> None:
        """What everyone can read must not sign: RFC 8725, section 2.1."""
        pem = public_pem(algorithm)
        signer = jwt.PyJWS().get_algorithm_by_name("HS256")
        head = encoded({"alg": "HS256", "typ": "JWT"})
        body = encoded({"sub": "eve", "exp": int(time.time()) + 60, "collab": {"admin": True}})
        signature = signer.sign(f"{head}.{body}".encode(), pem)
        forged = f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
        with pytest.raises(Unauthenticated, match="signed with a trusted key"):
            await Tokens(OneKey(read_public_key(pem))).verify(forged)

    async def test_another_algorithm_than_the_key_s(self) -> None:
        with pytest.raises(Unauthenticated, match="signed with a trusted key"):
            await checking().verify(token(key=SECRET * 2, algorithm="HS512"))

    async def test_another_secret(self) -> None:
        with pytest.raises(Unauthenticated, match="valid signature"):
            await checking().verify(token(key=SECRET[::-1]))

    @pytest.mark.parametrize(
        "text",
        ["x", "..", "a.b.c", "é.é.é", "\x00", "[" * 6000 + ".a.b", f"{'W' * 6000}.a.b"],
        ids=range(7),
    )
    async def test_what_is_no_token(self, text: str) -> None:
        with pytest.raises(Unauthenticated, match="expected a JSON Web Token") as caught:
            await checking().verify(text)
        assert caught.value.__cause__ is None

    async def test_a_token_of_endless_brackets(self) -> None:
        deep = base64.urlsafe_b64encode(b"[" * 6000).decode()
        with pytest.raises(Unauthenticated, match="expected a JSON Web Token"):
            await checking().verify(f"{deep}.e30.x")

    async def test_a_token_too_long_to_look_at(self) -> None:
        with pytest.raises(Unauthenticated, match="at most 8192 characters, got 8193"):
            await checking().verify("x" * 8193)

    @given(st.text(max_size=200))
    async def test_any_text_is_refused_in_words(self, text: str) -> None:
        with pytest.raises(Unauthenticated):
            await checking().verify(text)


class TestWhereTokensAreFound:
    @pytest.mark.parametrize(
        ("connection", "found"),
        [
            (handshake(), None),
            (handshake(authorization="Bearer abc"), "abc"),
            (handshake(authorization="bearer  abc "), "abc"),
            (handshake(authorization="Basic abc"), None),
            (handshake(authorization="Bearer"), None),
            (handshake(query="token=a%2Bb"), "a+b"),
            (handshake(query="token="), None),
            (handshake(subprotocols="collab, collab.token.a.b.c"), "a.b.c"),
            (handshake(subprotocols="collab.token."), None),
            (handshake(subprotocols="collab,yjs"), None),
            (handshake(authorization="Bearer a", query="token=b"), "a"),
            (handshake(query="token=b", subprotocols="collab.token.c"), "b"),
        ],
    )
    def test_the_first_place_that_has_one(
        self, connection: HTTPConnection, found: str | None
    ) -> None:
        assert find_token(connection) == found

    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            (None, None),
            ("collab.token.abc", None),
            ("yjs", None),
            ("collab", "collab"),
            ("collab.token.abc, collab", "collab"),
        ],
    )
    def test_the_token_is_never_sent_back(self, offered: str | None, chosen: str | None) -> None:
        assert choose_subprotocol(handshake(subprotocols=offered).scope) == chosen

    async def test_who_brings_none_is_nobody(self) -> None:
        assert await checking()(handshake()) is None
