"""The server answers its own page and nobody else."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from models_under_test import compiled

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.live.player import Player
from pisnn_deploy.live.server import LiveServer, serving
from pisnn_deploy.live.session import Session

JSON = {"Content-Type": "application/json"}
Answer = tuple[int, str, http.client.HTTPMessage]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server of a short line."""
    graph = compiled(cells=16, boundary="dirichlet=0,1")
    with closing(Player(Session(graph, graph.initial), 50.0)) as player, serving(LiveServer(player)) as running:
        yield running


def ask(server: LiveServer, path: str, body: str | None = None, **headers: str) -> Answer:
    """Send a request under the server's token; underscores in names of headers stand for hyphens."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path.replace("TOKEN", server.token), body, named)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers


def do(server: LiveServer, **request: object) -> tuple[int, dict[str, str]]:
    status, text, _ = ask(server, "/TOKEN/do", json.dumps(request), Content_Type="application/json")
    return status, json.loads(text)


def test_the_page_needs_nothing_else_and_may_do_nothing_else(server: LiveServer) -> None:
    status, page, headers = ask(server, "/TOKEN/")
    policy = headers["Content-Security-Policy"]
    assert status == 200 and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and headers["Referrer-Policy"] == "no-referrer"
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/TOKEN/state", {}, 200),
        ("/TOKEN/state", {"Host": "localhost:PORT"}, 200),
        ("/TOKEN/state", {"Host": "evil.example:PORT"}, 403),
        ("/TOKEN/state", {"Host": "127.0.0.1"}, 403),
        ("/TOKEN/state", {"Origin": "http://evil.example"}, 403),
        ("/TOKEN/state", {"Origin": "null"}, 403),
        ("/TOKEN/state", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/state", {}, 404),
        ("/", {}, 404),
        ("/TOKENx/state", {}, 404),
        ("/TOKEN/../state", {}, 404),
        ("/TOKEN/%2e%2e/live.js", {}, 404),
        ("/TOKEN/do", {}, 404),
    ],
)
def test_requests_of_others_are_refused(server: LiveServer, path: str, headers: dict[str, str], status: int) -> None:
    sent = {name.replace("-", "_"): value.replace("PORT", str(server.port)) for name, value in headers.items()}
    assert ask(server, path, **sent)[0] == status


def test_commands_of_others_and_of_wrong_form_are_refused(server: LiveServer) -> None:
    step = json.dumps({"do": "step"})
    before = server.player.scene.figures["step"]
    assert ask(server, "/TOKEN/do", step, Content_Type="text/plain")[0] == 415
    assert ask(server, "/TOKEN/do", step, Origin="http://evil.example", **_dashed(JSON))[0] == 403
    assert ask(server, "/wrong/do", step, **_dashed(JSON))[0] == 404
    assert ask(server, "/TOKEN/do", "x" * 5000, **_dashed(JSON))[0] == 413
    for body in ("", "[]", "{", "[" * 4000, "\x00"):
        assert ask(server, "/TOKEN/do", body, **_dashed(JSON))[0] == 400
    requests: tuple[dict[str, object], ...] = (
        {"do": "melt"},
        {"do": []},
        {"do": "step", "steps": 10**9},
        {"do": "step", "steps": True},
        {"do": "speed", "speed": 0},
        {"do": "speed", "speed": "1"},
        {"do": "fault", "fault": 3},
    )
    for request in requests:
        assert do(server, **request)[0] == 400
    assert do(server, do="fault", fault="flip:membrane[99].bit1")[1]["error"].startswith("fault 'flip:membrane[99]")
    assert server.player.scene.figures["step"] == before
    own = f"http://127.0.0.1:{server.port}"
    assert ask(server, "/TOKEN/do", step, Origin=own, **_dashed(JSON))[0] == 200
    assert server.player.scene.figures["step"] == before + 1


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in headers.items()}


def test_a_run_keeps_its_pace_and_pauses(server: LiveServer) -> None:
    assert do(server, do="reset")[0] == 200
    assert do(server, do="run")[0] == 200
    begun = time.monotonic()
    while server.player.document("")["step"] < 10:
        assert time.monotonic() < begun + 20
        time.sleep(0.01)
    assert time.monotonic() - begun > 0.1, "10 PDE steps at 50 a second"
    assert do(server, do="pause")[0] == 200
    step = server.player.document("")["step"]
    time.sleep(0.1)
    assert server.player.document("")["step"] == step and not server.player.document("")["runs"]


def test_a_port_in_use_is_named(server: LiveServer) -> None:
    with pytest.raises(UsageError, match=f"`port` {server.port}: cannot be used .*in use.*; choose another"):
        LiveServer(server.player, server.port)
