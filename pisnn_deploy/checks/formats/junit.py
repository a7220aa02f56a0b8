"""JUnit XML: a CI shows every rule as a test.

It has no times, so equal outcomes give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from xml.etree import ElementTree

from pisnn_deploy.checks.outcome import Outcome, Unread
from pisnn_deploy.checks.report import Finding
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.core.printable import printable, printable_lines

UNREADABLE = "unreadable"
"""Name of the suite of a file that could not be read."""


def junit(outcomes: Sequence[Outcome], unread: Sequence[Unread] = ()) -> str:
    """Write a test suite per profile and a test case per rule.

    Returns
    -------
    str
        XML in which errors are failures, files that could not be read are errors, warnings are in ``system-out``, and
        unchecked rules are skipped.
    """
    suites = [*map(_suite, outcomes), *map(_unread, unread)]
    totals = {key: str(sum(int(suite.attrib[key]) for suite in suites)) for key in ("tests", "failures", "errors")}
    root = ElementTree.Element("testsuites", {"name": "pisnn-deploy check", **totals})
    root.extend(suites)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(outcome: Outcome) -> ElementTree.Element:
    profile = outcome.report.profile
    classname = _classname(profile, outcome.place)
    cases = [_case(classname, rule, outcome.of_rule(rule)) for rule in outcome.rules]
    if outcome.growths is not None:
        growth = _element("testcase", classname=classname, name="resource-growth")
        if outcome.grown:
            lines = "\n".join(printable(growth_.message) for growth_ in outcome.grown)
            growth.append(_element("failure", lines, message=outcome.grown[0].message, type="resource-growth"))
        cases.append(growth)
    counts = {name: sum(case.find(name) is not None for case in cases) for name in ("failure", "skipped")}
    suite = _element(
        "testsuite",
        name=profile,
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors="0",
        skipped=str(counts["skipped"]),
        file=outcome.place.as_posix(),
    )
    properties = _element("properties")
    for key, value in outcome.rows():
        properties.append(_element("property", name=key, value=value))
    suite.extend([properties, *cases])
    return suite


def _classname(suite: str, path: PurePath) -> str:
    place = path.relative_to(path.anchor).with_suffix("")
    # Readers split packages at dots and merge tests of equal names.
    return ".".join(part.replace(".", "_") for part in (suite, *place.parts))


def _unread(file: Unread) -> ElementTree.Element:
    counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
    suite = _element("testsuite", name=UNREADABLE, **counts, file=file.place.as_posix())
    case = _element("testcase", classname=_classname(UNREADABLE, file.place), name="readable")
    case.append(_element("error", file.message, message=file.message, type=UNREADABLE))
    suite.append(case)
    return suite


def _case(classname: str, rule: Rule, findings: Sequence[Finding]) -> ElementTree.Element:
    case = _element("testcase", classname=classname, name=f"{rule.code} {rule.name}")
    by_severity = {
        severity: [f for f in findings if f.severity == severity] for severity in ("error", "warning", "info")
    }
    if by_severity["error"]:
        text = f"{_listed(by_severity['error'])}\nHow to fix: {rule.fix}"
        case.append(_element("failure", text, message=_line(by_severity["error"][0]), type=rule.name))
    elif by_severity["info"]:
        case.append(_element("skipped", message="; ".join(finding.message for finding in by_severity["info"])))
    if by_severity["warning"]:
        case.append(_element("system-out", f"{_listed(by_severity['warning'])}\nHow to fix: {rule.fix}"))
    return case


def _listed(findings: Sequence[Finding]) -> str:
    return "\n".join(map(_line, findings))


def _line(finding: Finding) -> str:
    return printable(f"{finding.severity}: {finding.population}: {finding.message}")


def _element(tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    # File names may have characters that XML cannot represent.
    element = ElementTree.Element(tag, {key: printable(value) for key, value in attributes.items()})
    element.text = printable_lines(text) or None
    return element
