"""The manual of the rules, written from their docstrings and from what they say about a graph that fails."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from pisnn_deploy.checks.examples import Example, examples
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.checks.rules import RULES
from pisnn_deploy.core.output import write_whole

_PREFACE = """\
# Rules of `pisnn-deploy check`

This page and those of the rules are written from the docstrings of the rules. To update them, run
`python -m pisnn_deploy.checks.manual docs/reference`; a test compares them.
[In a CI](ci.md) tells how to run the check there.

A finding is an **error** where the graph does not fit, a **warning** where it fits by one source of the profile and not
by another, and **info** where nothing has to change: where the public record has no limit, so that nothing was checked,
or where a limit is one of convenience. Errors fail the check. All violations are reported. Names such as
`core.neurons_max` are keys of the profile: `pisnn-deploy profiles show NAME` gives their values, ranges, confidence and
sources.

An input axon is what one source neuron's one synapse population needs on one core. Figures of a core are those of the
graph's placement; a graph without one is counted as if it stood on a single core, and the finding says so.

## What breaks deployments, and which rule sees it
| what | rules |
| --- | --- |
| synaptic memory of a core, after packing and rounding | PD104, PD105 |
| input axons | PD106 |
| output axons, with those to other chips | PD107, PD108, PD109, PD115 |
| delay slots | PD116; no graph of this project delays a spike |
| overflow of states and accumulators | PD003, PD004, PD007, PD203 |
| values that the target changes without a word | PD001, PD002, PD008, PD010, PD011 |
| neurons and words of state | PD009, PD102, PD110, PD113 |
| configuration that a core shares | PD103; one decay and one threshold serve a population |
| fields that address neurons | PD114; population spikes and convolutions have narrower ones, and are not used |
| usable cores and chips | PD101, PD111, PD112 |
| input and output | PD117; what a host reads or waits for is in no estimate |
| payloads, from sender to receiver | PD005, PD006 |
| time and energy | no rule: estimates, always a range |
| mass | PD201, PD202, PD204, PD205, PD206, PD207 |
"""
_WIDTH = 120


def manual() -> str:
    """The index as Markdown: every rule's statement, reasons and fix.

    Returns
    -------
    str
        Of the file ``rules.md``.
    """
    sections = [_PREFACE]
    for rule in RULES:
        *text, _ = rule.paragraphs
        body = "\n\n".join(text)
        link = f"[Example](rules/{rule.code}.md)"
        sections.append(f"## {rule.code} {rule.name}\n\n{body}\n\n**How to fix:** {rule.fix}\n\n{link}\n")
    return "\n".join(sections)


def page(rule: Rule, example: Example) -> str:
    """The page of one rule as Markdown: what, why, an example, how to fix.

    Parameters
    ----------
    example : Example
        Is checked, and the finding is shown.
    """
    statement, *reasons, _ = rule.paragraphs
    found = example.finding(rule.code)
    shown = f"{found.severity}: {found.rule} {found.name}: {found.population}: {found.message}"
    parts = [
        f"# {rule.code} {rule.name}",
        statement,
        "## Why",
        *reasons,
        "## Example",
        example.text,
        "```text\n" + "\n".join(textwrap.wrap(shown, _WIDTH, subsequent_indent="  ")) + "\n```",
        "## How to fix",
        rule.fix,
        f"To leave it out: `pisnn-deploy check ARTIFACT --ignore {rule.code}`. [All rules](../rules.md)",
    ]
    return "\n\n".join(parts) + "\n"


def pages() -> Mapping[str, str]:
    """Every file of the manual.

    Returns
    -------
    mapping of str to str
        Content by path in `docs/reference`.
    """
    shown = examples()
    return {"rules.md": manual()} | {f"rules/{rule.code}.md": page(rule, shown[rule.code]) for rule in RULES}


def main(words: list[str]) -> None:
    """Write the manual into the folder that is named, or print the index.

    Parameters
    ----------
    words : list of str
        Of the command line.
    """
    parser = argparse.ArgumentParser(description="Write the manual of the rules.")
    parser.add_argument("folder", nargs="?", type=Path, help="to write to (default: print the index)")
    folder = parser.parse_args(words).folder
    if folder is None:
        print(manual(), end="")
        return
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    for path, content in pages().items():
        write_whole(folder / path, content.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
