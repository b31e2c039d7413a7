"""Keys and tokens for tests, and a key set that a real server serves."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SECRET = "a secret of more than thirty-two bytes"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private_key(algorithm: str) -> PrivateKey:
    """A key for an algorithm; always the same in one run."""
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_pem(algorithm: str) -> bytes:
    """Its public half, as a file has it."""
    public = private_key(algorithm).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_jwk(algorithm: str, key_id: str | None) -> dict[str, Any]:
    """Its public half, as a key set has it."""
    writers: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    jwk = writers[algorithm].to_jwk(private_key(algorithm).public_key(), as_dict=True)
    return {**jwk, "use": "sig"} | ({"kid": key_id} if key_id is not None else {})


def token(
    *,
    key: Any = SECRET,
    algorithm: str = "HS256",
    key_id: str | None = None,
    user: str = "ana",
    docs: dict[str, str] | None = None,
    seconds: float = 600,
    **claims: Any,
) -> str:
    """A token; good for everything, unless ``docs`` says for what."""
    permissions: dict[str, Any] = {"admin": True} if docs is None else {"docs": docs}
    return jwt.encode(
        {"sub": user, "exp": int(time.time() + seconds), "collab": permissions, **claims},
        key,
        algorithm=algorithm,
        headers={"kid": key_id} if key_id is not None else None,
    )


class Provider:
    """An identity provider's key set; it can be changed, and fail.

    Attributes:
        keys: what it publishes.
        status: what it answers with.
        asked: how often it was asked.
        url: where it is.
    """

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.status = 200
        self.asked = 0
        self.url = ""
        self._asked = anyio.Event()

    async def until_asked(self, times: int) -> None:
        """Waits until it was asked so often."""
        with anyio.fail_after(30):
            while self.asked < times:
                await self._asked.wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Provider"]:
        """Serves it over HTTP on asyncio and trio alike."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        self.url = f"http://127.0.0.1:{port}/keys.json"
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._answer)
            yield self
            tasks.cancel_scope.cancel()

    async def _answer(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            received = b""
            while b"\r\n\r\n" not in received:
                received += await stream.receive()
            body = json.dumps({"keys": self.keys}).encode()
            head = f"HTTP/1.1 {self.status} -\r\nContent-Length: {len(body)}\r\n"
            await stream.send(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.asked += 1
        self._asked.set()
        self._asked = anyio.Event()
