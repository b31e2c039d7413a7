"""`collab serve`: where its options come from, and what it says to mistakes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.server.signing import SECRET, token


@contextmanager
def serving(
    directory: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server in a directory of its own, and the address it prints."""
    command = [str(Path(sys.executable).parent / "collab"), "serve", *options]
    with subprocess.Popen(
        command,
        cwd=directory,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            **(environment or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline(), process
        finally:
            process.kill()


def refused(directory: Path, *options: str) -> tuple[int, str]:
    """Exit code and errors of a server that does not come up."""
    with serving(directory, *options) as (line, process):
        assert line == ""
        _, errors = process.communicate(timeout=20)
        return process.returncode, errors


def test_it_prints_its_address_first_and_ends_with_0(tmp_path: Path) -> None:
    with serving(tmp_path, "--bind", "127.0.0.1:0") as (line, process):
        assert line.startswith("collab: listening on http://127.0.0.1:")
        address = line.split()[-1]
        assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert (tmp_path / "collab.db").exists()


def test_flags_go_before_variables_and_variables_before_the_file(tmp_path: Path) -> None:
    config = tmp_path / "collab.toml"
    config.write_text('bind = "127.0.0.1:0"\nstore = "sqlite:///file.db"\nno-such = 1\n')
    assert refused(tmp_path, "--config", str(config)) == (
        2,
        f"collab: expected options of this command in {config}, got 'no-such'\n",
    )
    config.write_text('bind = "127.0.0.1:0"\nstore = "sqlite:///file.db"\nunload-seconds = 2.5\n')
    for options, environment, expected in (
        ((), {}, "file.db"),
        ((), {"COLLAB_STORE": "sqlite:///variable.db"}, "variable.db"),
        (("--store", "sqlite:///flag.db"), {"COLLAB_STORE": "sqlite:///x.db"}, "flag.db"),
    ):
        with serving(tmp_path, "--config", str(config), *options, environment=environment) as (
            line,
            _,
        ):
            assert "listening" in line
        assert (tmp_path / expected).exists()
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--bind", "nowhere"], 2, "collab: expected --bind HOST:PORT, got 'nowhere'\n"),
        (["--store", "mysql://x"], 2, "expected a store address"),
        (["--outbox-max-bytes", "0"], 2, "0 is not in the range x>=1"),
        (["--unload-seconds", "never"], 2, "'never' is not a valid number of seconds"),
        (["--config", "missing.toml"], 2, "does not exist"),
        (
            ["--config", "lists.toml"],
            2,
            "expected a list as allow-origin in lists.toml, got 'https:",
        ),
        (
            ["--bind", "127.0.0.1:0", "--certfile", "lists.toml", "--keyfile", "lists.toml"],
            2,
            "expected a certificate chain and its key in PEM in lists.toml and lists.toml, got: ",
        ),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    (tmp_path / "lists.toml").write_text('allow-origin = "https://a.example"\n')
    returned, errors = refused(tmp_path, *options)
    assert returned == code
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "collab.db").exists()


def test_options_are_checked_beside_a_running_server(tmp_path: Path) -> None:
    with serving(tmp_path, "--bind", "127.0.0.1:0", "--store", "memory://") as (line, _):
        bind = ("--check", "--bind", line.split("//")[-1].strip())
        with serving(tmp_path, *bind) as (said, process):
            assert (said, process.wait(20)) == ("collab: these options work\n", 0)
    for options in (
        ("--check", "--bind", "127.0.0.1:"),
        (*bind, "--store", "mysql://x"),
        (*bind, "--seed", "nowhere"),
        (*bind, "--trust-proxy", "x"),
        (*bind, "--bus", "http://x"),
        ("--check", "--bind", "0.0.0.0:80"),
    ):
        code, errors = refused(tmp_path, *options)
        assert (code, errors.count("\n")) == (2, 1), options
    assert not (tmp_path / "collab.db").exists()


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, "--bind", "127.0.0.1:0") as (line, _):
        address = line.split("//")[-1].strip()
        code, errors = refused(tmp_path, "--bind", address, "--store", "memory://")
    assert code == 1
    assert errors == f"collab: expected to listen on {address}, got: Address already in use\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_nobody_else_reaches_a_server_that_tells_nobody_apart(tmp_path: Path, host: str) -> None:
    code, errors = refused(tmp_path, "--bind", f"{host}:0")
    assert code == 2
    assert errors.startswith("collab: expected --jwt-secret, --jwt-public-key or --jwks-url to")
    assert "--open-to-everyone" in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "collab.db").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.9.1"])
def test_this_machine_alone_may_be_listened_to_without_telling_people_apart(
    tmp_path: Path, host: str
) -> None:
    with serving(tmp_path, "--bind", f"{host}:0") as (line, _):
        assert line.startswith("collab: listening on")


def test_who_opens_a_server_to_everyone_is_told_what_that_means(tmp_path: Path) -> None:
    with serving(tmp_path, "--bind", "0.0.0.0:0", "--open-to-everyone") as (line, process):
        assert line.startswith("collab: listening on")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    warning = "everyone who reaches 0.0.0.0:0 may read, change and delete every document"
    assert f"collab: WARNING: {warning}\n" in errors


def test_a_server_with_a_secret_serves_who_brings_a_token_of_it(tmp_path: Path) -> None:
    environment = {"COLLAB_JWT_SECRET": SECRET}
    options = ("--bind", "0.0.0.0:0")
    with serving(tmp_path, *options, environment=environment) as (line, process):
        address = line.split()[-1].replace("0.0.0.0", "127.0.0.1")
        listing = f"{address}/api/docs"
        nobody = httpx.get(listing)
        assert nobody.status_code == 401
        assert nobody.headers["www-authenticate"] == "Bearer"
        signed = token()
        assert httpx.get(listing, headers={"Authorization": f"Bearer {signed}"}).status_code == 200
        late = token(seconds=-60)
        refusal = httpx.get(listing, params={"token": late})
        assert refusal.json() == {
            "error": "expected a token that is still valid, got one that has expired"
        }
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert errors == ""
    assert signed not in output
    assert late not in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jwt-secret", "short"], "expected a secret of 32 bytes or more, got 5"),
        (
            ["--jwt-secret", SECRET, "--jwks-url", "http://x/"],
            "expected one of --jwt-secret, --jwt-public-key and --jwks-url",
        ),
        (["--jwt-issuer", "x"], "expected --jwt-secret, --jwt-public-key or --jwks-url with"),
        (["--jwt-public-key", "collab.toml"], "expected a public key in PEM"),
        (["--allow-origin", "example"], "expected an origin such as https://example.org"),
        (["--jwks-url", "keys"], "expected an https or http address of a key set, got 'keys'"),
    ],
)
def test_keys_and_origins_that_cannot_be_used_are_told(
    tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "collab.toml").write_text("")
    code, errors = refused(tmp_path, "--bind", "127.0.0.1:0", *options)
    assert code == 2
    assert errors.startswith(f"collab: {message}")
    assert errors.count("\n") == 1


def test_origins_are_listed_by_flags_by_a_variable_or_in_the_file(tmp_path: Path) -> None:
    config = tmp_path / "collab.toml"
    config.write_text('allow-origin = ["https://a.example", "https://b.example"]\n')
    for options, environment in (
        (["--allow-origin", "https://a.example", "--allow-origin", "https://b.example"], {}),
        ([], {"COLLAB_ALLOW_ORIGIN": "https://a.example https://b.example"}),
        (["--config", str(config)], {}),
    ):
        with serving(tmp_path, "--bind", "127.0.0.1:0", *options, environment=environment) as (
            line,
            _,
        ):
            listing = f"{line.split()[-1]}/api/docs"
            for origin in ("https://a.example", "https://b.example"):
                answer = httpx.get(listing, headers={"Origin": origin})
                assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 421),
        (["--open-to-everyone"], 200),
        (["--allow-origin", "https://docs.example"], 200),
        (["--jwt-secret", SECRET], 401),
    ],
)
def test_only_names_of_this_machine_are_answered_where_nothing_else_protects_it(
    tmp_path: Path, options: list[str], status: int
) -> None:
    with serving(tmp_path, "--bind", "127.0.0.1:0", *options) as (line, _):
        headers = {"Host": "docs.example"}
        answer = httpx.get(f"{line.split()[-1]}/api/docs", headers=headers)
        assert answer.status_code == status
