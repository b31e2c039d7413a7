"""HTTP statuses: what each of our errors is called over HTTP, in one table."""

from http import HTTPStatus

from collab.errors import (
    AccessDenied,
    BodyTooLarge,
    BodyTooSlow,
    CollabError,
    DocumentDeleted,
    DocumentExists,
    DocumentFull,
    DocumentNotFound,
    HeadTooLarge,
    HistoryError,
    HostRefused,
    InvalidGrant,
    InvalidMessage,
    InvalidName,
    InvalidPoint,
    InvalidQuery,
    InvalidSeed,
    KeysUnavailable,
    NotRunning,
    OriginRefused,
    OutOfTurn,
    PointNotFound,
    ProtocolError,
    RenderError,
    ServerBusy,
    SessionEnded,
    StoreError,
    TooMany,
    Unauthenticated,
    UnknownRoot,
    VersionExists,
    VersionNotFound,
)

_STATUSES: tuple[tuple[type[CollabError], HTTPStatus], ...] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (AccessDenied, HTTPStatus.FORBIDDEN),
    (OriginRefused, HTTPStatus.FORBIDDEN),
    (HostRefused, HTTPStatus.MISDIRECTED_REQUEST),
    (DocumentDeleted, HTTPStatus.GONE),
    (DocumentNotFound, HTTPStatus.NOT_FOUND),
    (DocumentExists, HTTPStatus.CONFLICT),
    (VersionNotFound, HTTPStatus.NOT_FOUND),
    (VersionExists, HTTPStatus.CONFLICT),
    (PointNotFound, HTTPStatus.NOT_FOUND),
    (InvalidPoint, HTTPStatus.BAD_REQUEST),
    (HistoryError, HTTPStatus.CONFLICT),
    (UnknownRoot, HTTPStatus.NOT_FOUND),
    (InvalidName, HTTPStatus.BAD_REQUEST),
    (InvalidGrant, HTTPStatus.BAD_REQUEST),
    (InvalidMessage, HTTPStatus.BAD_REQUEST),
    (InvalidQuery, HTTPStatus.BAD_REQUEST),
    (InvalidSeed, HTTPStatus.BAD_REQUEST),
    (DocumentFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (BodyTooSlow, HTTPStatus.REQUEST_TIMEOUT),
    (HeadTooLarge, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (SessionEnded, HTTPStatus.GONE),
    (OutOfTurn, HTTPStatus.CONFLICT),
    (RenderError, HTTPStatus.BAD_REQUEST),
    (ProtocolError, HTTPStatus.BAD_REQUEST),
    (KeysUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (ServerBusy, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotRunning, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: CollabError) -> HTTPStatus:
    """Names the HTTP status for an error; 500 for one that nobody foresaw."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR
