"""Options that commands share or that follow from elsewhere."""

import inspect
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from collab.archive import Retention
from collab.errors import SettingsError
from collab.server.cli.duration import Seconds
from collab.server.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

_SPELT_APART = frozenset({"trash_seconds"})
"""Settings that ``collab serve`` has options of its own for."""

_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n        .*)*)$", re.MULTILINE)


class _RetentionType(click.ParamType[Retention]):
    """``all``, ``none`` or a span."""

    name = "HISTORY"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Retention:
        if isinstance(value, Retention):
            return value
        try:
            return Retention.parse(str(value))
        except SettingsError as error:
            self.fail(str(error), param, ctx)


RETENTION = _RetentionType()
"""The type of options that say how long changes are kept."""

store_option = click.option(
    "--store",
    "address",
    envvar="COLLAB_STORE",
    default="sqlite:///collab.db",
    show_default=True,
    show_envvar=True,
    metavar="ADDRESS",
    help="Where documents are kept: sqlite:///FILE, postgresql://HOST/DATABASE or memory://.",
)
"""``--store``: the same for every command."""


def settings_options(command: Command) -> Command:
    """Gives a command an option for each setting, explained as in ``Settings``."""
    explained = {
        name: " ".join(text.split())
        for name, text in _ATTRIBUTE.findall(inspect.getdoc(Settings) or "")
    }
    for field in reversed(fields(Settings)):
        if field.name in _SPELT_APART:
            continue
        text = explained.get(field.name, "")
        if isinstance(field.default, bool):
            spelt = field.name.replace("_", "-")
            command = click.option(
                f"--{spelt}/--no-{spelt}",
                default=field.default,
                show_default=True,
                envvar=f"COLLAB_{field.name.upper()}",
                help=text[:1].upper() + text[1:],
            )(command)
            continue
        whole = isinstance(field.default, int)
        command = click.option(
            f"--{field.name.replace('_', '-')}",
            type=click.IntRange(min=1) if whole else Seconds(min=0, min_open=True),
            default=field.default,
            show_default=True,
            envvar=f"COLLAB_{field.name.upper()}",
            metavar="BYTES" if field.name.endswith("_bytes") else "NUMBER" if whole else "SECONDS",
            help=text[:1].upper() + text[1:],
        )(command)
    return command


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Takes the settings out of a command's options."""
    return Settings(**{field.name: options[field.name] for field in fields(Settings)})


def config_option(command: Command) -> Command:
    """Gives a command ``--config FILE``: TOML with the names of its options and their values."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        envvar="COLLAB_CONFIG",
        callback=_read_config,
        help="TOML file with options; flags and COLLAB_* variables go before it.",
    )(command)


def _read_config(context: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"expected TOML in {path}, got: {error}") from error
    known = {
        flag.removeprefix("--").replace("-", "_"): parameter.name
        for parameter in context.command.params
        for flag in parameter.opts
        if parameter is not option
    }
    repeatable = {each.name for each in context.command.params if each.multiple}
    named = {}
    for name, value in values.items():
        parameter_name = known.get(name.replace("-", "_"))
        if parameter_name is None:
            raise SettingsError(f"expected options of this command in {path}, got {name!r}")
        if parameter_name in repeatable and not isinstance(value, list):
            raise SettingsError(f"expected a list as {name} in {path}, got {value!r}")
        named[parameter_name] = value
    context.default_map = {**(context.default_map or {}), **named}
