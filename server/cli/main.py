"""The ``collab`` command."""

import errno
from importlib import import_module

import click

from collab.errors import CollabError, InvalidGrant, InvalidName, InvalidQuery, SettingsError

_COMMANDS = {
    "backup": "backup:back_up",
    "check": "check:check",
    "compact": "compact:compact",
    "delete": "trash:delete_document",
    "diff": "history:show_difference",
    "duplicate": "duplicate:duplicate_document",
    "export": "export:export_document",
    "history": "history:show_history",
    "import": "importing:import_documents",
    "inspect": "inspect:inspect_document",
    "list": "list:list_documents",
    "restore": "restore:restore_document",
    "restore-backup": "backup:restore",
    "serve": "serve:serve",
    "tail": "tail:tail",
    "token": "token:make_token",
    "undelete": "trash:undelete_document",
    "versions": "versions:show_versions",
}
"""Each command's module in this package, and its name there: only the one that is run is loaded,
for a server keeps in memory what it has loaded."""

_WRONGLY_CALLED = (SettingsError, InvalidName, InvalidGrant, InvalidQuery)
"""What is wrong with how a command was called, whatever it would have found."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Commands(click.Group):
    """The commands.

    They end with one line, and exit code 2 where they were called wrongly. It is 1 where collab
    raised on purpose otherwise, or where what their output goes to is a full disk, or has not all
    characters.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(f"collab.server.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists what they do in whole sentences; click cuts them off."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            assert command is not None
            rows.append((name, command.get_short_help_str(limit=1000)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CollabError as error:
            click.echo(f"collab: {error}", err=True)
            ctx.exit(2 if isinstance(error, _WRONGLY_CALLED) else 1)
        except OSError as error:
            if error.errno not in _FULL:
                raise  # A pipe that was closed is click's; anything else is a fault of ours.
            click.echo(f"collab: expected to write all of it, got: {error.strerror}", err=True)
            ctx.exit(1)
        except UnicodeEncodeError as error:
            if error.encoding == "utf-8":
                raise  # Not the output's: it is what the locale says.
            got = f"characters that are not in {error.encoding}: PYTHONIOENCODING=utf-8 writes all"
            click.echo(f"collab: expected to write all of it, got {got}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="collab-yjs")
def main() -> None:
    """Documents people edit together: serve them, export them, look after them."""
