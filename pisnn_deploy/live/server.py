"""Web server of a live page, on this machine only."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pisnn_deploy.core.errors import PisnnError, UsageError
from pisnn_deploy.live.guard import JSON_TYPE, refusal
from pisnn_deploy.live.player import Player

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 10
"""Time after which a silent connection is closed."""
MOST_CONNECTIONS = 32
_PAGE = files("pisnn_deploy.live") / "page"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LiveServer(ThreadingHTTPServer):
    """Serves the page of one player.

    Parameters
    ----------
    port : int
        0 for any free port.

    Attributes
    ----------
    token : str
        Random part of the address, without which nothing is answered.

    Raises
    ------
    UsageError
        The port cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, player: Player, port: int = 0) -> None:
        self.player, self.token = player, secrets.token_urlsafe(24)
        self.page, self.policy = _page()
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        with _named(port):
            super().__init__((LOOPBACK, port), _Handler)

    @property
    def port(self) -> int:
        """Port on which it listens."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{LOOPBACK}:{self.port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, unless there are too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room again."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break off; others are defects."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def require_free(port: int) -> None:
    """Refuse a port that cannot be used, before the work.

    Raises
    ------
    UsageError
        Another program uses it, or it is reserved.
    """
    with _named(port), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))


@contextlib.contextmanager
def _named(port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"`port` {port}: cannot be used ({error.strerror or error}); choose another, or 0 for any"
        ) from error


def _page() -> tuple[bytes, str]:
    """The page, and the policy that lets only its own script and style work."""
    script, style = ((_PAGE / name).read_text("utf-8") for name in ("live.js", "live.css"))
    whole = (_PAGE / "live.html").read_text("utf-8").replace("/*style*/", style).replace("/*script*/", script)
    sources = (
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (script, style)
    )
    script_source, style_source = sources
    policy = (
        f"default-src 'none'; script-src {script_source}; style-src {style_source}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return whole.encode(), policy


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: LiveServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pisnn-deploy", ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Send the page, the description of the graph, or the last scene."""
        if not self._may("GET"):
            return
        url = urlsplit(self.path)
        player = self.server.player
        match url.path.split("/")[2:]:
            case [""]:
                self._send(self.server.page, "text/html; charset=utf-8", policy=self.server.policy)
            case ["graph"]:
                self._send_json(player.description)
            case ["state"]:
                self._send_json(player.document(parse_qs(url.query[:1000]).get("field", [""])[0]))
            case _:
                self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Do what a request asks."""
        if not self._may("POST"):
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.split("/")[2:] != ["do"]:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self._send_json({"error": "the request is not a JSON object"}, HTTPStatus.BAD_REQUEST)
            return
        try:
            self._send_json({"said": self.server.player.do(request)})
        except PisnnError as error:
            self._send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)

    def _may(self, method: str) -> bool:
        status = refusal(method, self.path, self.headers, self.server.port, self.server.token)  # type: ignore[arg-type]
        if status is not None:
            self._refuse(status)
        return status is None

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True  # a body may not have been read
        self._send(f"{status.value} {status.phrase}\n".encode(), "text/plain; charset=utf-8", status)

    def _send_json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(value, allow_nan=False, separators=(",", ":")).encode(), JSON_TYPE, status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, policy: str = "") -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if policy:
            self.send_header("Content-Security-Policy", policy)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing: addresses contain the token."""


@contextlib.contextmanager
def serving(server: LiveServer) -> Iterator[LiveServer]:
    """Answer in the background, until the context ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
