"""Which requests the server of a live page answers.

The page is for the person who started it. Other people of the machine lack the token; other pages in the same browser
can send requests, but with their own origin, or with the host name that they rebound to this machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http import HTTPStatus

LARGEST_BODY = 4096
"""Maximum size of a request's body in bytes."""
JSON_TYPE = "application/json"


def refusal(method: str, path: str, headers: Mapping[str, str], port: int, token: str) -> HTTPStatus | None:
    """Return why a request is refused; None if it is answered.

    Parameters
    ----------
    path : str
        Path of the request, with the token as its first part.
    headers : mapping
        Headers by name, whatever the case.
    """
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    host, origin = headers.get("Host", ""), headers.get("Origin")
    if host not in hosts or (origin is not None and origin != f"http://{host}"):
        return HTTPStatus.FORBIDDEN
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return HTTPStatus.FORBIDDEN
    first = path.partition("/")[2].partition("/")[0]
    if not hmac.compare_digest(first.encode(errors="replace"), token.encode()):
        return HTTPStatus.NOT_FOUND
    if method != "POST":
        return None
    if headers.get("Content-Type", "") != JSON_TYPE:  # which other origins cannot send unasked
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 10):
        return HTTPStatus.LENGTH_REQUIRED
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if int(length) > LARGEST_BODY else None
