"""Options for JSON Web Tokens: those that commands share, and what they make together."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from collab.errors import SettingsError
from collab.server.cli.duration import Seconds

if TYPE_CHECKING:
    from collab.server.auth.keys import Keys
    from collab.server.auth.tokens import Tokens

Command = TypeVar("Command", bound=Callable[..., Any])

secret_option = click.option(
    "--jwt-secret",
    envvar="COLLAB_JWT_SECRET",
    metavar="SECRET",
    help="Secret that tokens are signed with (HS256), 32 bytes or more. On a command line others "
    "on the machine can read it: the variable COLLAB_JWT_SECRET is the place for it.",
)
audience_option = click.option(
    "--jwt-audience",
    envvar="COLLAB_JWT_AUDIENCE",
    metavar="NAME",
    help="Whom tokens are for (aud). Without it, tokens that name an audience are refused.",
)
issuer_option = click.option(
    "--jwt-issuer",
    envvar="COLLAB_JWT_ISSUER",
    metavar="NAME",
    help="Who makes tokens (iss). Without it, any.",
)

_OPTIONS = (
    secret_option,
    click.option(
        "--jwt-public-key",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="COLLAB_JWT_PUBLIC_KEY",
        help="Public key (PEM) that tokens are checked with: RS256, ES256 or EdDSA, as the key is.",
    ),
    click.option(
        "--jwks-url",
        envvar="COLLAB_JWKS_URL",
        metavar="URL",
        help="Address of the key set that tokens are checked with, as identity providers have it.",
    ),
    audience_option,
    issuer_option,
    click.option(
        "--jwt-leeway",
        type=Seconds(min=0),
        default=10.0,
        show_default=True,
        envvar="COLLAB_JWT_LEEWAY",
        metavar="SECONDS",
        help="How far the clock of who makes tokens may be from this one.",
    ),
)


def jwt_options(command: Command) -> Command:
    """Gives a command the options that say which tokens are taken."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def tokens_of(options: Mapping[str, Any]) -> "Tokens | None":
    """Makes what checks tokens out of a command's options; None where they name no key.

    Raises:
        SettingsError: they name several keys, or one that cannot be used.
    """
    named = [
        name for name in ("jwt_secret", "jwt_public_key", "jwks_url") if options[name] is not None
    ]
    if len(named) > 1:
        raise SettingsError(
            "expected one of --jwt-secret, --jwt-public-key and --jwks-url, got several"
        )
    audience, issuer = options["jwt_audience"], options["jwt_issuer"]
    if not named:
        if audience is not None or issuer is not None:
            raise SettingsError(
                "expected --jwt-secret, --jwt-public-key or --jwks-url with --jwt-audience and "
                "--jwt-issuer, got none of them"
            )
        return None
    # Cryptography is 20 MB in memory: it is loaded where it is used.
    from collab.server.auth.tokens import Tokens

    keys = _keys_of(named[0], options[named[0]])
    leeway_seconds = options["jwt_leeway"]
    return Tokens(keys, audience=audience, issuer=issuer, leeway_seconds=leeway_seconds)


def _keys_of(name: str, value: Any) -> "Keys":
    from collab.server.auth.key_set import KeySet
    from collab.server.auth.keys import OneKey, read_public_key, read_secret

    if name == "jwt_secret":
        return OneKey(read_secret(value))
    if name == "jwt_public_key":
        return OneKey(read_public_key(value.read_bytes()))
    return KeySet(value)
