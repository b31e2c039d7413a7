"""The ``collab`` command."""

import click

from collab.errors import CollabError
from collab.server.cli.backup import back_up, restore
from collab.server.cli.check import check
from collab.server.cli.compact import compact
from collab.server.cli.duplicate import duplicate_document
from collab.server.cli.export import export_document
from collab.server.cli.history import show_difference, show_history
from collab.server.cli.importing import import_documents
from collab.server.cli.list import list_documents
from collab.server.cli.restore import restore_document
from collab.server.cli.serve import serve
from collab.server.cli.token import make_token
from collab.server.cli.trash import delete_document, undelete_document
from collab.server.cli.versions import show_versions


class _OneLineErrors(click.Group):
    """A group whose commands end with one line and exit code 1 where collab raised on purpose."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CollabError as error:
            click.echo(f"collab: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="collab-yjs")
def main() -> None:
    """Documents people edit together: serve them, export them, look after them."""


main.add_command(serve)
main.add_command(export_document)
main.add_command(import_documents)
main.add_command(back_up)
main.add_command(restore)
main.add_command(list_documents)
main.add_command(compact)
main.add_command(show_history)
main.add_command(show_difference)
main.add_command(show_versions)
main.add_command(restore_document)
main.add_command(make_token)
main.add_command(check)
main.add_command(delete_document)
main.add_command(undelete_document)
main.add_command(duplicate_document)
