"""`collab serve`: where its options come from, and what it says to mistakes."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest


@contextmanager
def serving(
    directory: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server in a directory of its own, and the address it prints."""
    command = [str(Path(sys.executable).parent / "collab"), "serve", *options]
    with subprocess.Popen(
        command,
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", **(environment or {})},
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
        1,
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
        (["--bind", "nowhere"], 1, "collab: expected --bind HOST:PORT, got 'nowhere'\n"),
        (["--store", "mysql://x"], 1, "expected a store address"),
        (["--outbox-max-bytes", "0"], 2, "0 is not in the range x>=1"),
        (["--unload-seconds", "never"], 2, "'never' is not a valid float"),
        (["--config", "missing.toml"], 2, "does not exist"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    returned, errors = refused(tmp_path, *options)
    assert returned == code
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "collab.db").exists()


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, "--bind", "127.0.0.1:0") as (line, _):
        address = line.split("//")[-1].strip()
        code, errors = refused(tmp_path, "--bind", address, "--store", "memory://")
    assert code == 1
    assert errors.startswith(f"collab: cannot listen on {address}")
    assert errors.count("\n") == 1
