"""The site is built from what is here, nothing of it is fetched, and no link of the repository leads nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify
from properdocs import replacement
from properdocs.commands.build import build
from properdocs.config import load_config
from properdocs.exceptions import Abort

from benchmarks.parts.report_screenshot import chromium
from pisnn_deploy.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
assert replacement, "plugins import mkdocs, for which it stands"
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
MODULE = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)`")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
FETCHED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^"'> ]*""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "properdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")}
    pages = {re.sub(r"README\.html$", "index.html", page) for page in pages}
    navigation = (site / "index.html").read_text().partition("<article")[0]
    linked = set(re.findall(r'<a href="([^"#:]+)" class="md-nav__link', navigation)) | {"index.html"}
    assert pages <= linked
    assert all((site / page).is_file() for page in linked)


def test_no_page_fetches_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))
    assert {page.name: FETCHED.findall(page.read_text()) for page in pages if FETCHED.search(page.read_text())} == {}
    assert FETCHED.search('<script src="https://unpkg.com/iframe-worker/shim">')


def test_search_works_without_a_server_and_asks_no_network(site: Path) -> None:
    requests: list[str] = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: requests.append(request.url))
        page.goto((site / "explanation" / "concepts.html").as_uri() + "?q=ledger")
        page.wait_for_selector(".md-search-result__item")
        assert "Ledger" in page.inner_text(".md-search-result__list").title()
    assert len(requests) > 1
    assert [url for url in requests if not url.startswith((site.as_uri(), "data:", "blob:"))] == []


def test_the_command_line_is_that_of_click(site: Path) -> None:
    page = (site / "reference" / "cli.html").read_text()
    for name in COMMANDS:
        assert f">pisnn-deploy {name}<" in page
        assert f"Usage: pisnn-deploy {name} [OPTIONS]" in page


def test_the_page_of_laws_has_the_output_of_its_example(site: Path) -> None:
    page = (site / "reference" / "laws.html").read_text()
    for text in ("road: equations", "cars_t + (limit*cars*(1 - cars/full))_x = entry*(1 - cars/full)", "inflow 0.03"):
        assert text in page


def test_the_api_has_the_docstrings(site: Path) -> None:
    page = (site / "reference" / "api.html").read_text()
    for name in ("api.artifact.CompiledArtifact.simulate", "runs.RunOptions", "core.errors.FileError"):
        assert f'id="pisnn_deploy.{name}"' in page
    assert "cell averages in physical units" in page


def test_a_link_that_leads_nowhere_fails_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "index.md").write_text("# Here\n\n[page](nowhere.md) [heading](#no-heading)\n")
    config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(folder), site_dir=str(tmp_path / "site"), strict=True)
    with pytest.raises(Abort):
        build(config)
    assert "'index.md' contains a link 'nowhere.md'" in caplog.text
    assert "'index.md' contains a link '#no-heading'" in caplog.text


def tracked_pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def anchors(text: str) -> set[str]:
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in HEADING.findall(FENCED.sub("", text))}


def broken_links(path: Path) -> list[str]:
    """Links of a page to files that are not there, and to headings that they do not have."""
    broken = []
    for target, anchor in LINK.findall(FENCED.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        file = path.parent / target if target else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.read_text())):
            broken.append(f"{target}#{anchor}" if anchor else target)
    return broken


def test_no_link_of_the_repository_leads_nowhere() -> None:
    broken = {path.relative_to(ROOT).as_posix(): broken_links(path) for path in tracked_pages()}
    assert {page: links for page, links in broken.items() if links} == {}


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A `title`, here\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#a-title-here) [b](other.md#b) [c](gone.md) [d](https://example.org)\n```\n[e](e)\n```\n"
    )
    assert broken_links(page) == ["other.md#b", "gone.md"]


def test_modules_that_pages_name_exist() -> None:
    pages = [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    texts = [(str(page.relative_to(ROOT)), page.read_text()) for page in pages]
    named = {
        (name, module)
        for name, text in texts
        for module in MODULE.findall(text)
        if f"<!-- file: {module} -->" not in text  # the page itself writes it
    }
    missing = {
        (page, module)
        for page, module in named
        if not any((ROOT / top / module).exists() for top in ("", "pisnn_deploy"))
    }
    assert named
    assert missing == set()
