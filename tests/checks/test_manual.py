"""The manual in docs/reference, rules.md and rules/, is what the docstrings of the rules say, with what they find."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pisnn_deploy.checks import Rule
from pisnn_deploy.checks.examples import examples
from pisnn_deploy.checks.manual import main, manual, page, pages
from pisnn_deploy.checks.rules import ALL_RULES as RULES

DOCS = Path(__file__).parents[2] / "docs" / "reference"
ALWAYS_INFORMATION = {"PD117", "PD207"}
UPDATE = "run: python -m pisnn_deploy.checks.manual docs/reference"


def test_pages_equal_the_docstrings_and_findings() -> None:
    committed = {"rules.md", *(f"rules/{path.name}" for path in (DOCS / "rules").iterdir())}
    assert committed == set(pages()), UPDATE
    for path, content in pages().items():
        assert (DOCS / path).read_text(encoding="utf-8") == content, UPDATE


def test_index_has_every_rule() -> None:
    text = manual()
    for rule in RULES:
        assert f"## {rule.code} {rule.name}\n" in text
        assert rule.statement in text
        assert f"**How to fix:** {rule.fix}" in text
        assert f"(rules/{rule.code}.md)" in text


def test_every_rule_is_in_the_table_of_what_breaks_deployments() -> None:
    table = manual().split("| cause | rules |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"PD\d{3}", table)) == [rule.code for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_page_shows_an_error_of_its_rule(rule: Rule) -> None:
    example = examples()[rule.code]
    found = example.finding(rule.code)
    assert (found.severity, found.fix) == (("info", "") if rule.code in ALWAYS_INFORMATION else ("error", rule.fix))
    text = page(rule, example)
    assert " ".join(found.message.split()) in " ".join(text.split())
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert headings == [f"{rule.code} {rule.name}", "Why", "Example", "How to fix"]
    sections = re.split(r"^## .*$", text, flags=re.MULTILINE)
    assert all(section.strip() for section in sections)


def test_command_writes_all_pages_or_prints_the_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "docs")])
    written = {str(path.relative_to(tmp_path / "docs")) for path in tmp_path.rglob("*.md")}
    assert written == set(pages()) and capsys.readouterr().out == ""
    main([])
    assert capsys.readouterr().out == manual()


def test_links_of_the_pages_lead_somewhere() -> None:
    for path in [DOCS / "rules.md", *(DOCS / "rules").iterdir()]:
        for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
