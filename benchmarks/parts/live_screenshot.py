"""Take the picture of docs/how-to/watch_a_run.md: heat2d after 60 PDE steps and a fault that was repaired.

Run it from the root of a checkout with ``python -m benchmarks.parts.live_screenshot``, after ``make browser``.
"""

from __future__ import annotations

from contextlib import closing

from benchmarks.common import ROOT
from benchmarks.parts.report_screenshot import chromium
from pisnn_deploy.live.player import Player
from pisnn_deploy.live.server import LiveServer, serving
from pisnn_deploy.live.session import Session
from pisnn_deploy.project.graphs import read_graph

PICTURE = ROOT / "docs" / "assets" / "live.png"
FAULT = "flip:membrane[2080].bit5"


def main() -> None:
    """Step heat2d, inject a fault, and write the picture."""
    graph = read_graph("heat2d").graph
    player = Player(Session(graph, graph.initial), 100.0)
    with closing(player), serving(LiveServer(player)) as server, chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1080}, color_scheme="light")
        page.goto(server.address)
        for step in range(60):
            player.do({"do": "step"})
            if step == 40:
                player.do({"do": "fault", "fault": FAULT, "recover": True})
            page.wait_for_timeout(300)
        page.screenshot(path=PICTURE)
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
