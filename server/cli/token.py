"""``collab token``: makes a token that a server with the same secret takes."""

import secrets
import time

import click
import jwt

from collab.access import Access
from collab.errors import SettingsError
from collab.server.auth.claims import write_claims
from collab.server.auth.keys import read_secret
from collab.server.cli.duration import Duration
from collab.server.cli.jwt import audience_option, issuer_option, secret_option


@click.command("token")
@click.option("--user", required=True, metavar="ID", help="Id of who the token is for.")
@click.option("--name", metavar="NAME", help="The name that others are shown.")
@click.option(
    "--doc",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Documents it is for; * is anything but a slash, ** anything. May be repeated.",
)
@click.option("--read", "read", is_flag=True, help="They may be read.")
@click.option("--write", "write", is_flag=True, help="They may be read and changed.")
@click.option(
    "--admin",
    "admin",
    is_flag=True,
    help="They may be administered too; without --doc: everything may.",
)
@click.option(
    "--expires",
    "seconds",
    type=Duration(),
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="How long it is good for, such as 90s, 15m, 1h30m or 7d.",
)
@secret_option
@audience_option
@issuer_option
def make_token(
    user: str,
    name: str | None,
    patterns: tuple[str, ...],
    read: bool,
    write: bool,
    admin: bool,
    seconds: int,
    jwt_secret: str | None,
    jwt_audience: str | None,
    jwt_issuer: str | None,
) -> None:
    """Print a token for `collab serve` with the same --jwt-secret."""
    if jwt_secret is None:
        raise SettingsError("expected --jwt-secret or COLLAB_JWT_SECRET, got neither")
    asked = {Access.READ: read, Access.WRITE: write, Access.ADMIN: admin}
    accesses = [access for access, is_asked in asked.items() if is_asked]
    if len(accesses) != 1:
        raise click.UsageError(
            f"expected one of --read, --write and --admin, got {'several' if accesses else 'none'}"
        )
    if not patterns and not admin:
        raise click.UsageError("expected --doc: which documents it is for, got none")
    key = read_secret(jwt_secret)
    now = int(time.time())
    claims = write_claims(
        user=user,
        name=name,
        documents=dict.fromkeys(patterns, accesses[0]),
        admin=not patterns,
        token_id=secrets.token_urlsafe(12),
        issued_at=now,
        expires_at=now + seconds,
    )
    if jwt_audience is not None:
        claims["aud"] = jwt_audience
    if jwt_issuer is not None:
        claims["iss"] = jwt_issuer
    assert isinstance(key.material, bytes)
    click.echo(jwt.encode(claims, key.material, algorithm=key.algorithm))
