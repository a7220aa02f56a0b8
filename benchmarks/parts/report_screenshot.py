"""Take the picture of docs/reference/reports.md: the report of heat2d in chromium, a third of the way through the run.

Run it from the root of a checkout with ``python -m benchmarks.parts.report_screenshot``, after ``make browser``.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.common import COMMAND, ROOT

PICTURE = ROOT / "docs" / "assets" / "report.png"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Options of a headless browser that root may start, without network access."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's chromium, headless, with an empty profile."""
    path = shutil.which("chromium")
    assert path is not None, "there is no chromium on the path: make browser installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        browser.close()


def main() -> None:
    """Run heat2d, open its report, and write the picture."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        words = ("simulate", "heat2d", "--backend", "fast", "--report", "heat2d.html", "--quiet")
        subprocess.run([*COMMAND, *words], cwd=folder, check=True)
        page = browser.new_page(viewport={"width": 1200, "height": 1080}, color_scheme="light")
        page.goto((Path(folder) / "heat2d.html").as_uri())
        page.fill("#scrubber", "26")
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=PICTURE)
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
