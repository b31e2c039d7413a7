"""`collab token`: what it prints is what the server takes."""

import time

import anyio
import pytest
from click.testing import CliRunner

from collab.access import Access
from collab.server.auth.keys import OneKey, read_secret
from collab.server.auth.tokens import Tokens
from collab.server.cli.main import main
from tests.server.signing import SECRET

SIGNED = ["--user", "ana", "--jwt-secret", SECRET]


def run(*options: str, secret: str | None = None) -> tuple[int, str]:
    environment = {"COLLAB_JWT_SECRET": secret} if secret is not None else {}
    result = CliRunner().invoke(main, ["token", *options], env=environment)
    return result.exit_code, result.output


def test_the_server_takes_it_and_knows_what_it_is_for() -> None:
    _, output = run(*SIGNED, "--name", "Ana", "--doc", "team/*", "--doc", "notes", "--write")
    identity = anyio.run(Tokens(OneKey(read_secret(SECRET))).verify, output.strip())
    assert (identity.id, identity.name) == ("ana", "Ana")
    assert identity.access_to("team/plan") is identity.access_to("notes") is Access.WRITE
    assert identity.access_to("other") is Access.NONE
    assert identity.token_id


@pytest.mark.parametrize(
    ("options", "one", "everything"),
    [
        (["--doc", "a", "--read"], Access.READ, Access.NONE),
        (["--doc", "a", "--admin"], Access.ADMIN, Access.NONE),
        (["--admin"], Access.ADMIN, Access.ADMIN),
    ],
)
def test_it_allows_what_it_is_told_to(options: list[str], one: Access, everything: Access) -> None:
    _, output = run("--user", "ana", *options, secret=SECRET)
    identity = anyio.run(Tokens(OneKey(read_secret(SECRET))).verify, output.strip())
    assert (identity.access_to("a"), identity.access_to_all) == (one, everything)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("2w", 1209600)],
)
def test_it_ends_when_it_is_told_to(duration: str, seconds: int) -> None:
    before = int(time.time())
    _, output = run(*SIGNED, "--admin", "--expires", duration)
    tokens = Tokens(OneKey(read_secret(SECRET)), leeway_seconds=0)
    ends = anyio.run(tokens.verify, output.strip()).expires_at
    assert ends is not None
    assert before + seconds <= ends <= time.time() + seconds


@pytest.mark.parametrize("duration", ["0s", "0h0m"])
def test_one_that_would_have_ended_already_is_not_made(duration: str) -> None:
    code, output = run(*SIGNED, "--admin", "--expires", duration)
    assert (code, output.count("expected a duration above zero")) == (2, 1)


def test_it_is_for_the_audience_and_of_the_issuer_it_is_told() -> None:
    _, output = run(*SIGNED, "--admin", "--jwt-audience", "docs", "--jwt-issuer", "me")
    tokens = Tokens(OneKey(read_secret(SECRET)), audience="docs", issuer="me")
    assert anyio.run(tokens.verify, output.strip()).id == "ana"


def test_no_two_have_the_same_id() -> None:
    assert run(*SIGNED, "--admin") != run(*SIGNED, "--admin")


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--user", "ana", "--admin"], 2, "expected --jwt-secret or COLLAB_JWT_SECRET"),
        (["--user", "ana", "--admin", "--jwt-secret", "short"], 2, "32 bytes or more, got 5"),
        ([*SIGNED, "--doc", "a"], 2, "expected one of --read, --write and --admin"),
        ([*SIGNED, "--doc", "a", "--read", "--admin"], 2, "--write and --admin, got several"),
        (["--user", "~ana", "--admin", "--jwt-secret", SECRET], 2, "begins with anything but ~"),
        (["--user", "", "--admin", "--jwt-secret", SECRET], 2, "expected an id of somebody"),
        ([*SIGNED, "--write"], 2, "expected --doc"),
        ([*SIGNED, "--admin", "--expires", "soon"], 2, "expected a duration such as 90s"),
        ([*SIGNED, "--admin", "--expires", ""], 2, "expected a duration such as 90s"),
        ([*SIGNED, "--doc", "", "--read"], 2, "expected a pattern of document names"),
    ],
)
def test_mistakes_are_told(options: list[str], code: int, complaint: str) -> None:
    returned, output = run(*options)
    assert returned == code
    assert complaint in output
    assert "Traceback" not in output
