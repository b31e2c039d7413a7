"""Introduction: what somebody whom nobody vouches for is called, by their own account."""

from dataclasses import replace

from starlette.requests import HTTPConnection

from collab.access import ANYONE, Identity, check_name


def introduced(connection: HTTPConnection) -> Identity:
    """Names who a request speaks for where anyone may do anything: by ``?name=``, if at all.

    The name is a claim. It is kept as one beside what they change, and gives no rights.

    Args:
        connection: the request or the WebSocket handshake.

    Raises:
        InvalidName: it is too long, or has control characters.
    """
    if not connection.scope["query_string"]:
        return ANYONE  # Crowds that come back at once say nothing, as a rule.
    name = connection.query_params.get("name", "").strip()
    return replace(ANYONE, name=check_name(name)) if name else ANYONE
