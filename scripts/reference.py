"""Writes the pages of ``docs/reference`` that follow from the code: ``make reference``."""

import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

import collab.errors
from collab.access import ANYONE, Access, Grants, Identity, check_name
from collab.app_messages import AppMessage
from collab.client import BlockingDocument, RemoteDocument, Timing, connect, connect_blocking
from collab.close import CloseCode
from collab.document import Document
from collab.render.export import Format, export
from collab.seeding import seed_roots, seed_text
from collab.server import Collab, LiveDocument, Settings
from collab.server.auth.bearer import find_token
from collab.server.auth.key_set import KeySet
from collab.server.auth.keys import OneKey, read_public_key, read_secret
from collab.server.auth.tokens import Tokens
from collab.server.bus.address import open_bus
from collab.server.cli.main import main as command_line
from collab.server.documents.history import History
from collab.storage.address import open_store
from collab.storage.memory import MemoryStore
from collab.storage.postgres.store import PostgresStore
from collab.storage.sqlite import SQLiteStore

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"

_NOTE = "<!-- Written by scripts/reference.py from the code; `make reference` writes it anew. -->"
_FEATURES = {
    "sync": "people who type at the same time end with the same text, and so does who comes later.",
    "offline merge": "what was typed while the connection was cut, or the server was down, is "
    "merged when it is back.",
    "presence": "everyone sees everyone, whatever they speak; who is cut off is gone at once, and "
    "without WebSockets after `resume_seconds`.",
    "read-only": "a reader hears on, and nothing it writes is passed on or stored.",
    "ack": "the client knows what is durable: its echo in the y-websocket dialect, "
    "`hasUnsyncedChanges` of Hocuspocus for what is typed once it is synced, "
    "`hasLocalChanges` of y-sweet, `saved` of collab-provider, `saved()` of collab.client.",
    "token refresh": "a token that ends is replaced by the next one, and nothing is lost.",
    "big document": "a document of two megabytes by a hundred authors arrives whole.",
}
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):$")
_MEANT = {
    "Callable[[HTTPConnection], Awaitable[Identity | None]]": "Authenticate",
    "Callable[[Identity, str], Awaitable[Access]]": "Authorize",
    repr(ANYONE): "ANYONE",
    "str | Callable[[], str | Awaitable[str]] | None": "Token",
    "None | bool | int | float | str | list['Json'] | dict[str, 'Json']": "Json",
    "<Access.WRITE: 2>": "Access.WRITE",
}
"""What signatures say, and what is written in the code."""
_PUBLIC: dict[str, set[object]] = {
    "collab.server": {Collab, LiveDocument, Settings},
    "collab.client": {BlockingDocument, RemoteDocument, Timing, connect, connect_blocking},
}
"""What is imported from a package, whatever module it is in."""
_TERM = re.compile(r"^ {4}(\w+): (.*)$")


@dataclass(frozen=True, slots=True)
class Docstring:
    """A Google docstring, taken apart.

    Attributes:
        text: what comes before the first section, as Markdown.
        sections: by name; a section is a list of (term, text), the term empty where it has none.
    """

    text: str
    sections: dict[str, list[tuple[str, str]]]

    @classmethod
    def of(cls, documented: object) -> "Docstring":
        """Reads the docstring of a class or a function."""
        lines = (inspect.getdoc(documented) or "").splitlines()
        starts = [number for number, line in enumerate(lines) if _SECTION.match(line)]
        bounds = [*starts, len(lines)]
        sections = {
            lines[start].removesuffix(":"): _items(lines[start + 1 : end])
            for start, end in pairwise(bounds)
        }
        before = lines[: bounds[0]]
        return cls(_markdown("\n".join(before).strip()), sections)


def pages() -> dict[Path, str]:
    """The generated pages: path to what belongs in it."""
    contents = {
        "cli.md": _cli(),
        "settings.md": _settings(),
        "close-codes.md": _close_codes(),
        "clients.md": _clients(),
        "python.md": _python(),
    }
    return {REFERENCE / name: "\n".join(page) + "\n" for name, page in contents.items()}


def _cli() -> Iterator[str]:
    yield from ("# Command line", "", _NOTE, "")
    yield (
        "Every command takes `--help`. It exits with 0 when it did what it says, with 2 when it "
        "was called wrongly, and with 1 for everything else; then one line on standard error says "
        "why. Where an option names a variable, the environment sets it too; the option goes first,"
        " then the variable, then the file that `--config` names."
    )
    with click.Context(command_line, info_name="collab") as context:
        for name in command_line.list_commands(context):
            command = command_line.get_command(context, name)
            assert command is not None
            yield from _command(command, click.Context(command, parent=context, info_name=name))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("", f"## {context.command_path}", "", "```text")
    yield from (f"{context.command_path} {usage}", "```", "")
    yield _markdown(inspect.cleandoc(command.help or ""))
    yield from ("", "| option | variable | default | |", "| --- | --- | --- | --- |")
    settings = {field.name for field in fields(Settings)} - {"trash_seconds"}
    options = [option for option in command.params if isinstance(option, click.Option)]
    for option in options:
        if option.name in settings:
            continue
        shown = "` `".join(["/".join(part) for part in _spellings(option)])
        if not option.is_flag:
            shown += f" {option.make_metavar(context)}"
        variable = f"`{option.envvar}`" if option.envvar else ""
        default = _default(option, context)
        help_text = _markdown(option.help or "")
        yield f"| {_cell(f'`{shown}`')} | {variable} | {default} | {_cell(help_text)} |"
    if any(option.name in settings for option in options):
        yield from ("", "Each of the [settings](settings.md) is an option and a variable, too.")


def _spellings(option: click.Option) -> list[list[str]]:
    if option.secondary_opts:
        return [[option.opts[0], option.secondary_opts[0]]]
    return [[spelling] for spelling in option.opts]


def _default(option: click.Option, context: click.Context) -> str:
    value = option.get_default(context)
    if option.secondary_opts:
        return f"`{(option.opts if value else option.secondary_opts)[0]}`"
    if option.is_flag or not isinstance(value, (str, int, float)) or value == "":
        return ""
    return f"`{value}`"


def _settings() -> Iterator[str]:
    documented = Docstring.of(Settings)
    explained = dict(documented.sections["Attributes"])
    yield from ("# Settings", "", _NOTE, "")
    yield "```python"
    yield "from collab.server import Collab, Settings"
    yield ""
    yield 'collab = Collab("sqlite:///collab.db", settings=Settings(unload_seconds=60))'
    yield "```"
    yield ""
    yield (
        "Every setting is a keyword of `Settings`, an option of `collab serve`, a variable, and a "
        "line of the TOML file that `--config` names: `unload_seconds`, `--unload-seconds`, "
        "`COLLAB_UNLOAD_SECONDS`. `trash_seconds` alone is spelt `--trash 30d` and `COLLAB_TRASH` "
        "there. `collab.server.asgi:app` runs with the defaults."
    )
    yield from ("", "| setting | default | |", "| --- | --- | --- |")
    for field in fields(Settings):
        text = explained[field.name]
        default = f"{field.default:,}" if type(field.default) is not bool else f"{field.default}"
        yield f"| `{field.name}` | {default} | {_cell(text[:1].upper() + text[1:])} |"


def _close_codes() -> Iterator[str]:
    yield from ("# Close codes", "", _NOTE, "")
    yield (
        "What the server says when it ends a WebSocket. Codes of 4000 and more are collab's own; "
        "the others are those of RFC 6455."
    )
    explained = _member_docs(CloseCode)
    sources = "".join(path.read_text() for path in _sources())
    yield from ("", "| code | name | | sent by this version |", "| --- | --- | --- | --- |")
    for code in CloseCode:
        sent = "yes" if re.search(rf"CloseCode\.{code.name}\b", sources) else "reserved"
        yield f"| {code.value} | `{code.name}` | {_cell(explained.get(code.name, ''))} | {sent} |"
    yield ""
    yield "What stock clients make of them, by their sources:"
    yield ""
    yield "| client | does not come back by itself after |"
    yield "| --- | --- |"
    yield "| y-websocket 1 and 2, @y/websocket 4 | none: it comes back after each |"
    yield "| y-websocket 3.1 | 4400 to 4499; it emits `closed` |"
    yield "| @hocuspocus/provider 2 | 1009, 4401, and 4403 unless it is `quiet` |"
    yield "| @hocuspocus/provider 3 and 4 | none; a document that is closed alone stays closed |"
    yield "| @y-sweet/client 0.9 | none; after three failures it asks for another client token |"


def _sources() -> list[Path]:
    """The modules that may close a connection."""
    return [*(ROOT / "server").rglob("*.py"), *(ROOT / "collab").glob("*.py")]


def _member_docs(enumeration: type[IntEnum]) -> dict[str, str]:
    """The strings below an enumeration's members, by member."""
    source = inspect.getsource(enumeration)
    found = re.findall(r'^ {4}([A-Z_]+) = \d+\n {4}"""(.+?)"""', source, re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


def _clients() -> Iterator[str]:
    yield from ("# Clients", "", _NOTE.replace("the code", "what the tests showed"), "")
    yield (
        "Real clients are run against a real server, in the versions below; a cell is filled when "
        "all tests that are there for it passed. `collab-provider` is tested as it is packed for "
        "npm; where it and `collab.client` are found twice, WebSockets were out of their reach."
    )
    yield ""
    yield from (f"- **{feature}**: {meaning}" for feature, meaning in _FEATURES.items())
    yield ""
    yield f"| client | version | at | {' | '.join(_FEATURES)} |"
    yield f"| --- | --- | --- |{' :-: |' * len(_FEATURES)}"
    for row in json.loads((ROOT / "tests" / "clients" / "matrix.json").read_text()):
        marks = ["✓" if feature in row["features"] else "" for feature in _FEATURES]
        yield f"| {row['package']} | {row['release']} | `{row['path']}` | {' | '.join(marks)} |"
    yield ""
    yield (
        "`Provider` of pycrdt has no presence, does not reconnect by itself and hears nothing of "
        "changes being saved: what it lacks no server gives it."
    )
    yield ""
    yield (
        "The demo, and with it `collab-provider`, is tested in Debian's Chromium. That people "
        "write together, see each other's carets, reload and open the history is tested in its "
        "Firefox (ESR) and its WebKit (WebKitGTK), too, each beside Chromium on one document."
    )


def _python() -> Iterator[str]:
    yield from ("# Python", "", _NOTE, "")
    yield (
        "What is meant to be imported. `doc` of a document is a "
        "[pycrdt](https://y-crdt.github.io/pycrdt/) `Doc`; mind that pycrdt counts text positions "
        "in UTF-8 bytes, where Yjs in the browser counts UTF-16 units."
    )
    yield from _class(Collab, Collab.document, Collab.revoke, Collab.recheck)
    yield from _function(open_bus)
    yield from _class(
        LiveDocument,
        LiveDocument.saved,
        LiveDocument.restore,
        LiveDocument.changes,
        LiveDocument.presence,
        LiveDocument.send_message,
        LiveDocument.messages,
        constructed=False,
    )
    yield from _function(connect)
    yield from _class(
        RemoteDocument,
        RemoteDocument.synced,
        RemoteDocument.saved,
        RemoteDocument.changes,
        RemoteDocument.show,
        RemoteDocument.presence,
        RemoteDocument.send_message,
        RemoteDocument.messages,
        constructed=False,
    )
    yield from _function(connect_blocking)
    yield from _class(
        BlockingDocument,
        BlockingDocument.pull,
        BlockingDocument.synced,
        BlockingDocument.saved,
        BlockingDocument.next_change,
        BlockingDocument.show,
        BlockingDocument.presence,
        BlockingDocument.send_message,
        BlockingDocument.messages,
        constructed=False,
    )
    yield from _class(Timing)
    yield from _class(AppMessage)
    yield from _class(
        History,
        History.find,
        History.changes,
        History.content,
        History.attribution,
        History.compare,
    )
    yield from _class(Identity)
    yield from _class(Grants)
    yield from _class(Access)
    yield from ("", "| level | value |", "| --- | --- |")
    yield from (f"| `Access.{level.name}` | {level.value} |" for level in Access)
    yield from _function(check_name)
    yield from ("", "## Authenticate", "", "```python")
    yield "Authenticate = Callable[[HTTPConnection], Awaitable[Identity | None]]"
    yield "Authorize = Callable[[Identity, str], Awaitable[Access]]"
    yield from (
        "```",
        "",
        "In `collab.server.auth.guard`. The first names the identity a request speaks",
    )
    yield "for, from its headers, cookies or query; None refuses it; `HTTPConnection` is"
    yield "Starlette's. The second says what an identity may do with the document of this name."
    yield from _function(find_token)
    yield from _class(Tokens)
    yield from _class(OneKey)
    yield from _function(read_secret)
    yield from _function(read_public_key)
    yield from _class(KeySet)
    yield from _function(open_store)
    yield from _class(SQLiteStore)
    yield from _class(PostgresStore)
    yield from _class(MemoryStore)
    yield from ("", "## Stores of your own", "")
    yield "`Collab` takes anything that keeps the contract written down in"
    yield "[`collab/store.py`](../../collab/store.py): the Protocol `Store` and its value types."
    yield "`tests/storage/test_conformance.py` is the contract as tests."
    yield from _class(Document, Document.load)
    yield from _function(export)
    yield from _function(seed_text)
    yield from _function(seed_roots)
    yield from ("", "Formats: " + ", ".join(f"`{form.value}`" for form in Format) + ".")
    tree = inspect.cleandoc(collab.errors.__doc__ or "").partition("::")[2]
    yield from ("", "## Errors", "", "In `collab.errors`. All that is raised on purpose:")
    yield from ("", "```text", textwrap.dedent(tree.strip("\n")), "```")


def _class(
    documented: type, *methods: Callable[..., Any], constructed: bool = True
) -> Iterator[str]:
    signature = ""
    if constructed and not issubclass(documented, IntEnum):
        signature = str(_shown(inspect.signature(documented)))
    yield from _described(documented, f"class {_import_name(documented)}{signature}", "##")
    for method in methods:
        kind = "async with" if hasattr(method, "__wrapped__") else ""
        kind = kind or ("await" if inspect.iscoroutinefunction(method) else "")
        bound = inspect.ismethod(method)
        title = f"{method.__name__}{_shown(inspect.signature(method), drop_first=not bound)}"
        yield from _described(method, f"{kind} {documented.__name__}.{title}".strip(), "###")


def _function(documented: Callable[..., Any]) -> Iterator[str]:
    signature = _shown(inspect.signature(documented))
    yield from _described(documented, f"{_import_name(documented)}{signature}", "##")


def _described(documented: Any, signature: str, level: str) -> Iterator[str]:
    docstring = Docstring.of(documented)
    name = documented.__qualname__
    yield from ("", f"{level} {name}", "", "```python", signature, "```", "", docstring.text)
    for title, items in docstring.sections.items():
        yield from ("", f"{title}:", "")
        for term, text in items:
            yield f"- `{term}`: {text}" if term else f"- {text}"


def _import_name(documented: Any) -> str:
    module = documented.__module__
    for package, public in _PUBLIC.items():
        if documented in public:
            module = package
    return f"{module}.{documented.__qualname__}"


def _shown(signature: inspect.Signature, *, drop_first: bool = False) -> str:
    parameters = list(signature.parameters.values())[1 if drop_first else 0 :]
    shown = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    shown = re.sub(r"(?:collab|starlette|typing|collections|os)(?:\.\w+)*\.(\w+)", r"\1", shown)
    for written, meant in _MEANT.items():
        shown = shown.replace(written, meant)
    return shown


def _items(lines: list[str]) -> list[tuple[str, str]]:
    items: list[tuple[str, str]] = []
    for line in lines:
        if not line.strip():
            continue
        named = _TERM.match(line)
        if named:
            items.append((named[1], named[2]))
        elif items:
            term, text = items[-1]
            items[-1] = (term, f"{text} {line.strip()}")
        else:
            items.append(("", line.strip()))
    return [(term, _markdown(text)) for term, text in items]


def _markdown(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", text)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Writes the pages and says which."""
    for path, page in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
