"""The live page in a real browser: keyboard, phone, faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from models_under_test import compiled
from playwright.sync_api import Browser, Page

from benchmarks.parts.report_screenshot import chromium
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.live.player import Player
from pisnn_deploy.live.server import LiveServer, serving
from pisnn_deploy.live.session import Session

PHONE = 360
REFUSED = "400 (Bad Request)"
"""What a browser notes of a fault that is refused."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; every context has an empty profile of its own."""
    with chromium() as running:
        yield running


@contextmanager
def opened(browser: Browser, graph: IntegerGraph) -> Iterator[Page]:
    """A page of a run of a graph; it must load without complaints, and ask only its own server."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, trouble, asked = context.new_page(), list[str](), set[str]()
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: asked.add(request.url.split("?")[0]))
    with closing(Player(Session(graph, graph.initial), 1000.0)) as player, serving(LiveServer(player)) as server:
        page.goto(server.address)
        until(page, lambda: "PDE step 0" in page.inner_text("#now"))
        yield page
        context.close()
        assert [text for text in trouble if REFUSED not in text] == []
        assert all(url.startswith((server.address, "data:")) for url in asked)


def until(page: Page, holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it did not happen")


def test_keys_run_step_and_reset_and_a_fault_is_caught(browser: Browser) -> None:
    with opened(browser, compiled(cells=32, boundary="dirichlet=0,1")) as page:
        keys = page.keyboard
        keys.press("ArrowRight")
        until(page, lambda: page.inner_text("#now").startswith("PDE step 1,"))
        keys.press("Shift+ArrowRight")
        until(page, lambda: page.inner_text("#now").startswith("PDE step 101,"))
        keys.press("Space")
        until(page, lambda: page.inner_text("#run") == "Pause")
        keys.press("Space")
        until(page, lambda: page.inner_text("#run") == "Run")
        assert page.evaluate("scrollY") == 0, "space must not scroll the page"
        keys.press("r")
        until(page, lambda: page.inner_text("#now").startswith("PDE step 0,"))
        keys.press("f")
        assert page.evaluate("document.activeElement.id") == "spec"
        page.fill("#spec", "flip:membrane[17].bit5")
        keys.press("Enter")
        until(page, lambda: "injected flip:membrane[17].bit5@1" in page.inner_text("#said"))
        page.evaluate("document.activeElement.blur()")
        keys.press("ArrowRight")
        until(page, lambda: page.inner_text("#word") == "violated")
        assert page.inner_text("#why").startswith("local invariant broken: membrane [17] at PDE step 1: expected ")
        assert "caught: local invariant, membrane [17], PDE step 1" in page.inner_text("#faults")
        assert page.is_disabled("#run") and page.is_enabled("#reset")
        page.click("#reset")
        until(page, lambda: page.inner_text("#word") == "conserved" and page.is_enabled("#run"))
        page.fill("#spec", "melt:<b>core</b>[0]")
        page.click("#inject")
        until(page, lambda: "unknown kind 'melt'" in page.inner_text("#said"))


def test_everything_is_reached_by_keyboard_and_fits_a_phone(browser: Browser) -> None:
    with opened(browser, compiled(cells=16, boundary="dirichlet=0,1")) as page:
        page.set_viewport_size({"width": PHONE, "height": 780})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        reached = []
        for _ in range(14):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id"))
        wanted = ["run", "step", "steps", "reset", "speed", "kind", "spec", "recover", "inject"]
        assert [name for name in reached if name in wanted] == wanted
        unnamed = (
            "[...document.querySelectorAll('button,select,input,canvas')].filter(e => !e.ariaHidden && !e.ariaLabel"
        )
        assert page.evaluate(f"{unnamed} && !e.textContent && !e.labels?.length).map(e => e.id)") == []
        small = "[...document.querySelectorAll('button,select,#spec')].filter(e => e.offsetHeight < 40).length"
        assert page.evaluate(f"{small} - document.querySelectorAll('#choice[hidden]').length") == 0
