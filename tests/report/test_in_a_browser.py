"""Reports in a real browser: Debian's chromium without a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from reported_runs import Reported

from benchmarks.parts.report_screenshot import chromium

PHONE = 390
MOST_WAITS = 2000
"""Of 20 ms each."""


@dataclass
class Watched:
    """A page, and what it said and asked for."""

    page: Page
    trouble: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def number(self, script: str) -> float:
        """Evaluate an expression that gives a number."""
        return float(self.page.evaluate(script))

    def text(self, identifier: str) -> str:
        """Text of an element."""
        return " ".join(self.page.inner_text(f"#{identifier}").split())

    def pixels(self, identifier: str) -> str:
        """What a canvas shows."""
        return str(self.page.evaluate(f"document.getElementById({identifier!r}).toDataURL()"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; every context has an empty profile of its own."""
    with chromium() as running:
        yield running


@pytest.fixture
def opened(browser: Browser) -> Iterator[Watched]:
    """A page that is watched from before it loads."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    watched = Watched(context.new_page())
    watched.page.on("console", lambda message: watched.trouble.append(message.text))
    watched.page.on("pageerror", lambda error: watched.trouble.append(str(error)))
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    yield watched
    context.close()


def load(watched: Watched, path: Path) -> Watched:
    watched.page.goto(path.as_uri())
    return watched


def until(watched: Watched, holds: Callable[[], bool]) -> None:
    """Wait in Python: the page's policy refuses the code that playwright would wait with."""
    for _ in range(MOST_WAITS):
        if holds():
            return
        watched.page.wait_for_timeout(20)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("kind", ["line", "plane", "triangles", "violated"])
def test_a_page_loads_in_silence_and_asks_for_nothing(
    kind: str, opened: Watched, request: pytest.FixtureRequest
) -> None:
    report: Reported = request.getfixturevalue(kind)
    load(opened, report.path)
    for width in (1280, PHONE):
        opened.page.set_viewport_size({"width": width, "height": 844})
        assert opened.number("document.documentElement.scrollWidth") <= width
    assert opened.page.inner_text("#verdict").lower() == report.result["verdict"]
    assert opened.trouble == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [report.path.as_uri()]


def test_a_request_would_be_seen_and_refused(opened: Watched, line: Reported, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text(line.html.replace("</main>", '<img src="file:///elsewhere.png"></main>'))
    load(opened, page)
    assert any("Content Security Policy" in text for text in opened.trouble)
    injected = tmp_path / "b.html"
    injected.write_text(line.html.replace("</main>", "<script>document.title = 'taken'</script></main>"))
    load(opened, injected)
    assert opened.page.title() != "taken"


def test_the_scrubber_moves_the_field(opened: Watched, line: Reported, plane: Reported, triangles: Reported) -> None:
    for report, canvas in ((line, "profile"), (plane, "map"), (triangles, "map")):
        load(opened, report.path)
        assert opened.text("now").startswith(f"PDE step {report.result['steps']} of {report.result['steps']}, time ")
        last = opened.pixels(canvas)
        opened.page.fill("#scrubber", "0")
        assert opened.text("now") == f"PDE step 0 of {report.result['steps']}, time 0"
        assert opened.page.get_attribute("#scrubber", "aria-valuetext") == opened.text("now")
        assert opened.pixels(canvas) != last
        opened.page.fill("#scrubber", str(report.result["steps"]))
        assert opened.pixels(canvas) == last


def test_play_goes_to_the_end_and_stops(opened: Watched, line: Reported) -> None:
    load(opened, line.path)
    opened.page.select_option("#speed", "0.25")
    opened.page.click("#play")
    assert opened.text("play-text") == "Pause"
    until(opened, lambda: 0 < int(opened.page.input_value("#scrubber")) < 40)
    opened.page.select_option("#speed", "4")
    until(opened, lambda: opened.text("play-text") == "Play")
    assert opened.page.input_value("#scrubber") == "40"


def test_keys_play_and_scrub(opened: Watched, line: Reported) -> None:
    load(opened, line.path)
    keyboard = opened.page.keyboard
    keyboard.press("ArrowLeft")
    assert opened.page.input_value("#scrubber") == "39"
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    assert opened.page.input_value("#scrubber") == "40"
    opened.page.focus("#scrubber")
    keyboard.press("Home")
    assert opened.page.input_value("#scrubber") == "0"
    keyboard.press("Space")
    assert opened.text("play-text") == "Pause"
    keyboard.press("Space")
    assert opened.text("play-text") == "Play"
    assert opened.number("scrollY") == 0, "space must not scroll the page"


def test_everything_can_be_reached_by_keyboard(opened: Watched, line: Reported) -> None:
    load(opened, line.path)
    found = []
    for _ in range(14):
        opened.page.keyboard.press("Tab")
        found.append(
            opened.page.evaluate("document.activeElement.id || document.activeElement.getAttribute('href') || ''")
        )
    assert found[:2] == ["#content", "theme"]
    assert [name for name in found if name in ("play", "scrubber", "speed")] == ["play", "scrubber", "speed"]
    unnamed = opened.page.evaluate(
        "[...document.querySelectorAll('button, input, select, canvas, img, [role=region]')].filter((one) =>"
        " !(one.textContent.trim() || one.getAttribute('aria-label') || one.alt || (one.labels && one.labels.length)))"
        ".length"
    )
    assert unnamed == 0


def test_the_theme_follows_the_system_until_it_is_chosen(opened: Watched, line: Reported) -> None:
    load(opened, line.path)
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light, profile = opened.page.evaluate(background), opened.pixels("profile")
    opened.page.emulate_media(color_scheme="dark")
    dark = opened.page.evaluate(background)
    assert dark != light
    until(opened, lambda: opened.pixels("profile") != profile)
    for theme, expected in (("light", light), ("dark", dark), ("system", dark)):
        opened.page.click("#theme")
        assert opened.text("theme") == f"Theme: {theme}"
        assert opened.page.evaluate(background) == expected
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate(background) == "rgb(255, 255, 255)"


def test_the_numbers_are_those_of_the_run(opened: Watched, line: Reported) -> None:
    load(opened, line.path)
    assert opened.page.evaluate("JSON.parse(document.getElementById('run').textContent)") == line.result
    mass = line.result["mass"]
    shown = [row.split("\t")[-1] for row in opened.page.inner_text("#balance table").splitlines() if "\t" in row]
    assert [int(text.replace(",", "")) for text in shown[1:]] == [
        mass[name] for name in ("initial", "final", "ledger", "in_flight", "drift")
    ]
    # The field that is drawn holds the run's own integers: at both ends they add up to the masses of the balance.
    total = """(frame) => {
      const said = JSON.parse(document.getElementById("frames").textContent), packed = said.packed.levels;
      const data = Uint8Array.from(atob(document.getElementById("levels").textContent), (c) => c.charCodeAt(0));
      const numbers = new ({ 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[packed.width])(data.buffer);
      const count = said.shape[0];
      return String(numbers.slice(frame * count, (frame + 1) * count).reduce(
        (sum, number) => sum + BigInt(packed.offset) + (BigInt(number) << BigInt(packed.shift)), 0n));
    }"""
    assert int(opened.page.evaluate(total, 0)) == mass["initial"]
    assert int(opened.page.evaluate(total, line.result["steps"])) == mass["final"]


def test_a_cell_can_be_read(opened: Watched, line: Reported, plane: Reported, triangles: Reported) -> None:
    for report, canvas, expected in (
        (line, "profile", "Position 0.515625: value "),
        (plane, "map", "(2.75, 3.25): value "),
        (triangles, "map", "The cell there: value "),
    ):
        load(opened, report.path)
        before = opened.text("cell")
        box = opened.page.locator(f"#{canvas}").bounding_box()
        assert box is not None
        opened.page.hover(f"#{canvas}", position={"x": 0.52 * box["width"], "y": 0.46 * box["height"]})
        assert opened.text("cell").startswith(expected), opened.text("cell")
        opened.page.mouse.move(1, 1)
        assert opened.text("cell") == before
