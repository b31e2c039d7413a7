"""Connections to a store's Postgres database, and what their errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from collab.errors import SettingsError, StoreError, StoreUnavailable

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_PASSING = frozenset(
    {
        "08",  # the connection was lost
        "25006",  # read-only: a standby, until it is promoted
        "25P03",  # this process hung within a transaction, which was ended meanwhile
        "25P04",  # the same, where the server bounds transactions
        "40",  # a deadlock, or another transaction came first
        "53",  # out of space, memory or connections
        "55P03",  # a lock was not to be had in time
        "57",  # the server is stopped, starts, or was told to cancel
        "58",  # input and output failed
    }
)
"""SQLSTATEs, or their classes, of failures that may pass
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

_DEFAULTS: dict[str, str | int] = {
    "application_name": "collab",
    "connect_timeout": 5,  # seconds
    # A cut cable is noticed in 10 to 20 s; the system's own patience is a quarter of an hour.
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
}
"""What the address may say otherwise
(https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS)."""

_ABANDONED = "60s"
"""A transaction whose process hangs gives its locks up after this long."""


class Database:
    """The database that a ``postgresql://`` address names.

    Attributes:
        shown: what messages call it; without the password.

    Args:
        address: as libpq takes it.
        wait_seconds: how long a call waits for a free connection, for a server that is away, or
            for another transaction's lock.

    Raises:
        SettingsError: this is no such address.
    """

    def __init__(self, address: str, *, wait_seconds: float) -> None:
        try:
            parameters = conninfo_to_dict(address)
        except psycopg.ProgrammingError as error:
            # libpq quotes the address, and the password in it.
            raise SettingsError(
                "expected an address like postgresql://user@host:5432/database, "
                "got one that cannot be read"
            ) from error
        host, name = parameters.get("host") or "localhost", parameters.get("dbname") or ""
        self.shown = f"postgresql://{host}/{name}"
        self._wait_seconds = wait_seconds
        missing = {name: value for name, value in _DEFAULTS.items() if name not in parameters}
        self._conninfo = make_conninfo(address, **missing)

    def connect(self) -> Connection:
        """Opens a connection in autocommit mode."""
        connection = psycopg.connect(self._conninfo, autocommit=True)
        self._configure(connection)
        return connection

    def pool(self, size: int) -> ConnectionPool[Connection]:
        """Makes a pool of such connections, not yet open; they are opened when needed."""
        return ConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True},
            min_size=0,
            max_size=size,
            open=False,
            timeout=self._wait_seconds,
            # Its pauses between attempts double; after this it begins anew with the next call.
            reconnect_timeout=self._wait_seconds,
            configure=self._configure,
            check=ConnectionPool.check_connection,
            name=self.shown,
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns errors of Postgres into errors of the store.

        Raises:
            StoreUnavailable: the server is away or busy, or its disk is full.
            StoreError: anything else.
        """
        try:
            yield
        except psycopg.Error as error:
            if _is_passing(error):
                what = f"expected {self.shown} to be available, got: {_line(error)}"
                raise StoreUnavailable(what) from error
            raise StoreError(
                f"expected {self.shown} to be in order, got: {_line(error)}"
            ) from error

    def _configure(self, connection: Connection) -> None:
        # Stronger settings than ``on`` are left as they are.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.execute(
            "SELECT set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false)",
            (f"{int(self._wait_seconds * 1000)}ms", _ABANDONED),
        )


def _is_passing(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        # Found by the client: a server that is away, or a pool without a free connection.
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in _PASSING or error.sqlstate[:2] in _PASSING


def _line(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())
