"""Close codes: every reason for which the server ends a WebSocket, in one table."""

from enum import IntEnum


class CloseCode(IntEnum):
    """WebSocket close codes the server sends (RFC 6455 section 7.4; 4000-4999 are ours).

    y-websocket 3.1 and later take 4400 to 4499 for good and come back after any other: whatever
    passes by itself needs a code outside of that range.
    """

    NORMAL = 1000
    """The client, or the code that holds the document, has left."""
    GOING_AWAY = 1001
    """The seat of a client without WebSockets is given up: nobody came back to it."""
    POLICY = 1008
    """A handshake or a message against the rules, without a more telling code."""
    TOO_LARGE = 1009
    """A message longer than the configured bound."""
    INTERNAL_ERROR = 1011
    """The server failed; the client did nothing wrong."""
    RESTART = 1012
    """The server stops, or opens the document anew: come back at once."""
    TRY_AGAIN_LATER = 1013
    """A bound is reached, or the client was silent or read too slowly for too long."""
    MALFORMED = 4400
    """Bytes that are not the protocol, or an update the CRDT refuses."""
    UNAUTHENTICATED = 4401
    """No valid token, or one that was revoked."""
    FORBIDDEN = 4403
    """A valid identity without access to this document."""
    NOT_FOUND = 4404
    """The document was deleted."""
    RATE = 4429
    """Too many messages or bytes in too little time."""
    EXPIRED = 4500
    """A token that was good has expired: come back with a new one."""
