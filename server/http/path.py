"""What a REST path names."""

from urllib.parse import unquote

from starlette.requests import Request

from collab.access import check_name


def document_of(request: Request) -> str:
    """The name of the document that a path is about.

    Raises:
        InvalidName: it cannot name one.
    """
    return check_name(unquote(request.path_params["document"]))
