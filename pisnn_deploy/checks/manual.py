"""Write the manual of the rules from their docstrings and from example findings."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from pisnn_deploy.checks.examples import Example, examples
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.checks.rules import ALL_RULES
from pisnn_deploy.core.output import write_whole

_PREFACE = """\
# Rules of `pisnn-deploy check`

This page and the page of each rule are generated from the docstrings of the rules. To update them, run
`python -m pisnn_deploy.checks.manual docs/reference`; a test compares them.
[In a CI](ci.md) explains how to run the check there.

A finding is an **error** if the graph does not fit, a **warning** if the sources of the profile disagree on whether it
fits, and **info** if nothing has to change: no limit is published, or the limit is not a hard one. Errors fail the
check. All violations are reported. Names such as `core.neurons_max` are keys of the profile:
`pisnn-deploy profiles show NAME` gives their values, ranges, confidence and sources.

A source neuron takes one input axon per synapse population and core that it reaches. Resources of a core are counted
with the graph's placement; a graph without a placement is counted on a single core, and the finding says so.

Rules from PD301 are for boards, on which an export of the artifact runs. PD003 and the rules on proofs (PD201 to PD207)
are for boards, too; the others are for chips of neurons only.

## Causes of failed deployments, and the rules that detect them
| cause | rules |
| --- | --- |
| synaptic memory of a core, after packing and rounding | PD104, PD105 |
| input axons | PD106 |
| output axons, including those to other chips | PD107, PD108, PD109, PD115 |
| delay slots | PD116; no graph of this project delays a spike |
| overflow of states and accumulators | PD003, PD004, PD007, PD203 |
| values that the target changes silently | PD001, PD002, PD008, PD010, PD011 |
| neurons and words of state | PD009, PD102, PD110, PD113 |
| configuration shared within a core | PD103; a population has one decay and one threshold |
| address fields of neurons | PD114; the narrower ones of population spikes and convolutions are not used |
| usable cores and chips | PD101, PD111, PD112 |
| input and output | PD117; estimates do not include the host's reading and waiting |
| payloads, from sender to receiver | PD005, PD006 |
| operations and tables of programs | PD118, PD119 |
| time and energy | no rule; estimates are given as ranges |
| flash and RAM of a microcontroller | PD301, PD302 |
| cells, memory and multipliers of an FPGA | PD311, PD312, PD313 |
| mass | PD201, PD202, PD204, PD205, PD206, PD207 |
"""
_WIDTH = 120


def manual() -> str:
    """Return the index as Markdown, with statement, reasons and fix of every rule.

    Returns
    -------
    str
        Content of the file ``rules.md``.
    """
    sections = [_PREFACE]
    for rule in ALL_RULES:
        *text, _ = rule.paragraphs
        body = "\n\n".join(text)
        link = f"[Example](rules/{rule.code}.md)"
        sections.append(f"## {rule.code} {rule.name}\n\n{body}\n\n**How to fix:** {rule.fix}\n\n{link}\n")
    return "\n".join(sections)


def page(rule: Rule, example: Example) -> str:
    """Return the page of a rule as Markdown: statement, reasons, example, fix.

    Parameters
    ----------
    example : Example
        Graph whose finding is shown.
    """
    statement, *reasons, _ = rule.paragraphs
    finding = example.finding(rule.code)
    shown = f"{finding.severity}: {finding.rule} {finding.name}: {finding.population}: {finding.message}"
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
    """Return every file of the manual.

    Returns
    -------
    mapping of str to str
        Content by path inside ``docs/reference``.
    """
    shown = examples()
    return {"rules.md": manual()} | {f"rules/{rule.code}.md": page(rule, shown[rule.code]) for rule in ALL_RULES}


def main(words: list[str]) -> None:
    """Write the manual into a folder, or print the index.

    Parameters
    ----------
    words : list of str
        Command-line arguments.
    """
    parser = argparse.ArgumentParser(description="Write the manual of the rules.")
    parser.add_argument("folder", nargs="?", type=Path, help="folder to write to (default: print the index)")
    folder = parser.parse_args(words).folder
    if folder is None:
        print(manual(), end="")
        return
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    for path, content in pages().items():
        write_whole(folder / path, content.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
