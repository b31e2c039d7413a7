"""References that follow from the code, links, and commands that pages name."""

import ast
import inspect
import re
import sqlite3
import textwrap
from configparser import ConfigParser
from contextlib import closing
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest
from starlette.routing import Route, WebSocketRoute

import collab.errors
from collab.errors import CollabError
from collab.server import Collab, Settings
from collab.server.cli.serve import serve
from collab.server.http.status import status_of
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from scripts.reference import pages
from tests.docs.pages import PAGES, ROOT, blocks

_LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)")


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_a_generated_page_is_what_the_code_says(path: Path) -> None:
    assert path.read_text() == pages()[path], "out of date: run `make reference`"


def test_the_example_of_settings_makes_an_app_with_them() -> None:
    (example,) = blocks(ROOT / "docs" / "reference" / "settings.md", "python")
    made: dict[str, Collab] = {}
    exec(example, {}, made)
    assert made["collab"].settings == Settings(unload_seconds=60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text()):
        path = (page.parent / target).resolve() if target else page
        assert path.is_relative_to(ROOT), target
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page != ROOT / "docs" / "reference" / "python.md"],  # Signatures.
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_examples_import_names_from_where_they_are_meant_to_be_found(page: Path) -> None:
    for example in (*blocks(page, "python"), *blocks(page, "py")):
        for node in ast.walk(ast.parse(_inside_a_function(example))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("collab."):
                module = import_module(node.module or "")
                tree = ast.parse(inspect.getsource(module))
                public = getattr(module, "__all__", ())
                elsewhere = {
                    alias.name
                    for statement in tree.body
                    if isinstance(statement, ast.ImportFrom)
                    for alias in statement.names
                }
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
                    assert alias.name in public or alias.name not in elsewhere, (
                        f"type checkers do not find {alias.name} in {node.module}"
                    )


def _inside_a_function(example: str) -> str:
    """An example as a function's body, where it may await."""
    return "async def example():\n" + textwrap.indent(example, "    ")


@pytest.mark.anyio
async def test_the_page_on_http_names_every_path_and_no_others() -> None:
    page = (ROOT / "docs" / "reference" / "http.md").read_text()
    named = set(re.findall(r"^\| `(/\S*)` \|", page, re.MULTILINE))
    async with Collab(MemoryStore()) as collab:
        served = {
            route.path.replace("{document:path}", "{document}")
            for route in collab.running.routes
            if isinstance(route, (Route, WebSocketRoute))
        }
    assert named == {"/"} | served


def test_the_page_on_http_names_errors_under_their_statuses() -> None:
    page = (ROOT / "docs" / "reference" / "http.md").read_text()
    rows = re.findall(r"^\| (\d{3}) \| (.*) \|$", page, re.MULTILINE)
    named = [(name, int(status)) for status, row in rows for name in re.findall(r"`(\w+)`", row)]
    assert named
    for name, status in named:
        error: type[CollabError] = getattr(collab.errors, name)
        assert status_of(error.__new__(error)) == status, name


def test_the_unit_of_systemd_starts_a_server() -> None:
    (example,) = blocks(ROOT / "docs" / "how-to" / "production.md", "ini")
    unit = ConfigParser(interpolation=None)
    unit.read_string(example)
    command, name, *arguments = unit["Service"]["ExecStart"].split()
    assert (Path(command).name, name) == ("collab", "serve")
    with serve.make_context(name, arguments) as context:
        assert context.params["address"] == "sqlite:////var/lib/collab/collab.db"
        assert context.params["demo"] is False


def test_the_example_of_a_configuration_file_is_one(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "docs" / "how-to" / "production.md", "toml")
    path = tmp_path / "collab.toml"
    path.write_text(example)
    with serve.make_context("serve", ["--config", str(path)]) as context:
        assert context.params["bind"] == "127.0.0.1:8000"
        assert context.params["unload_seconds"] == 60
        assert context.params["demo"] is False


@pytest.mark.anyio
async def test_the_page_on_storage_names_every_table_and_its_columns(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "explanation" / "storage.md").read_text()
    (listing,) = (each for each in page.split("```") if each.startswith("text\ndocuments "))
    rows = [re.split(r" {2,}", row)[:2] for row in listing.splitlines()[1:]]
    named = {table: set(columns.split(", ")) for table, columns in rows}
    path = tmp_path / "collab.db"
    async with SQLiteStore(path):
        pass
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        made = {
            table: {column for _, column, *_ in database.execute(f"PRAGMA table_info({table})")}
            for (table,) in tables.fetchall()
            if not table.startswith(("sqlite_", "_sqlite_"))
        }
    assert made.keys() == named.keys()
    assert not [table for table in named if not named[table] <= made[table]]


def test_the_page_on_security_names_tests_that_exist() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    named = re.findall(r"`(tests/[^`]+)`", page)
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_page_on_threats_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "threats.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("| ") and "---" not in row]
    named = [re.findall(r"`(tests/[^`:]+)::(\w+)`", row) for row in rows]
    assert named.count([]) == page.count("| shown by |")
    for file, test in chain.from_iterable(named):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_pages_name_make_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"(?:^|`)make ([a-z]+)\b", page.read_text(), re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
