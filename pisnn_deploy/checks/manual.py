"""The manual of the rules, written from their docstrings."""

from __future__ import annotations

from pisnn_deploy.checks.rules import RULES

_PREFACE = """\
# Rules of `pisnn-deploy check`

This page is written from the docstrings of the rules. To update it, run
`python -m pisnn_deploy.checks.manual > docs/rules.md`; a test compares the two.

A finding is an **error** where the graph does not fit, a **warning** where it fits by one source of the profile and not
by another, and **info** where the public record has no limit, so that nothing was checked. Errors fail the check. All
violations are reported. Names such as `core.neurons_max` are keys of the profile: `pisnn-deploy profiles show NAME`
gives their values, ranges, confidence and sources.

An input axon is what one source neuron's one synapse population needs on one core. Figures of a core are those of the
graph's placement; a graph without one is counted as if it stood on a single core, and the finding says so.
"""


def manual() -> str:
    """The manual as Markdown: every rule's statement, reasons and fix."""
    sections = [_PREFACE]
    for rule in RULES:
        *text, _ = rule.paragraphs
        body = "\n\n".join(text)
        sections.append(f"## {rule.code} {rule.name}\n\n{body}\n\n**How to fix:** {rule.fix}\n")
    return "\n".join(sections)


if __name__ == "__main__":
    print(manual(), end="")
