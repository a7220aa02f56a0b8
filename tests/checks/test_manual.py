"""docs/rules.md is what the docstrings of the rules say."""

from __future__ import annotations

from pathlib import Path

from pisnn_deploy.checks.manual import manual
from pisnn_deploy.checks.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_page_equals_the_docstrings() -> None:
    assert PAGE.read_text(encoding="utf-8") == manual(), "run: python -m pisnn_deploy.checks.manual > docs/rules.md"


def test_page_has_every_rule() -> None:
    text = manual()
    for rule in RULES:
        assert f"## {rule.code} {rule.name}\n" in text
        assert rule.statement in text
        assert f"**How to fix:** {rule.fix}" in text
