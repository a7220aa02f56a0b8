"""Formats of the check: schemas, escaping, and the same bytes for the same outcome."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from checked_graphs import heat_graph, with_bits, with_figure

from pisnn_deploy.checks import RULES, check
from pisnn_deploy.checks.baseline import Growth
from pisnn_deploy.checks.formats import FORMATS
from pisnn_deploy.checks.formats.sarif import anchor
from pisnn_deploy.checks.manual import manual
from pisnn_deploy.checks.outcome import Outcome, Unread
from pisnn_deploy.target import load_profile

SCHEMAS = Path(__file__).parent / "schemas"
HEAT = heat_graph()
LOIHI1, LOIHI2 = load_profile("loihi1"), load_profile("loihi2")
ARTIFACT = PurePosixPath("build/heat.pisnn")
HOSTILE = PurePosixPath("50%,a:b\r\n\x1b<&\"'>]]>\udcff ü.pisnn")


def outcome(profile: str = "loihi2", artifact: PurePosixPath = ARTIFACT, **changes: Any) -> Outcome:
    loaded = load_profile(profile)
    return replace(Outcome(artifact, check(HEAT, loaded), RULES), **changes)


def mixed() -> Outcome:
    """An error, a warning and a limit that could not be checked."""
    graph = with_bits(with_bits(HEAT, "drive", "accumulator", 25), "membrane", "mass", 30)
    profile = with_figure(LOIHI2, "core.synaptic_memory_words", 16, low=15, high=20)
    return Outcome(ARTIFACT, check(graph, profile), RULES)


GROWTHS = (Growth("cores", 1, 2, 5.0), Growth("chips", 1, 1, 5.0), Growth("utilisation.neurons", 0.0, 0.25, 5.0))
MANY = [
    [outcome()],
    [outcome("loihi1"), outcome("generic-int")],
    [mixed()],
    [outcome(growths=GROWTHS)],
    [outcome(growths=GROWTHS[1:2])],
    [outcome(rules=RULES[:1])],
    [outcome("loihi1", HOSTILE)],
    [outcome(artifact=ARTIFACT), outcome(artifact=PurePosixPath("/far/away/heat 2.pisnn"))],
    [outcome(rules=())],
]


def cut(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes with findings of their rules only, as the command gives them."""
    result = []
    for one in outcomes:
        codes = {rule.code for rule in one.rules}
        kept = tuple(finding for finding in one.report.findings if finding.rule in codes)
        result.append(replace(one, report=replace(one.report, findings=kept)))
    return result


@pytest.fixture(scope="module")
def sarif_schema() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text()))


@pytest.fixture(scope="module")
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd")


@pytest.mark.parametrize("outcomes", [[], [outcome()]])
@pytest.mark.parametrize("path", [ARTIFACT, HOSTILE])
def test_files_that_could_not_be_read_validate(
    outcomes: list[Outcome],
    path: PurePosixPath,
    sarif_schema: jsonschema.Draft4Validator,
    junit_schema: xmlschema.XMLSchema,
) -> None:
    unread = [Unread(path, path, f"{path}: is a damaged artifact")]
    sarif_schema.validate(json.loads(FORMATS["sarif"](outcomes, unread)))
    junit_schema.validate(FORMATS["junit"](outcomes, unread))
    assert len(json.loads(FORMATS["json"](outcomes, unread))["reports"]) == len(outcomes)
    for form in ("github", "text"):
        assert len(FORMATS[form](outcomes, unread).splitlines()) > len(FORMATS[form](outcomes, ()).splitlines())


@pytest.mark.parametrize("outcomes", MANY)
def test_outputs_validate_and_are_deterministic(
    outcomes: list[Outcome], sarif_schema: jsonschema.Draft4Validator, junit_schema: xmlschema.XMLSchema
) -> None:
    outcomes = cut(outcomes)
    texts = {name: form(outcomes) for name, form in FORMATS.items()}
    assert texts == {name: form(outcomes) for name, form in FORMATS.items()}
    assert all(text == "" or text.endswith("\n") for text in texts.values())
    assert [error.message for error in sarif_schema.iter_errors(json.loads(texts["sarif"]))] == []
    assert [error.reason for error in junit_schema.iter_errors(texts["junit"].encode())] == []
    json.loads(texts["json"])


def test_the_schemas_refuse_what_is_wrong(
    sarif_schema: jsonschema.Draft4Validator, junit_schema: xmlschema.XMLSchema
) -> None:
    wrong = json.loads(FORMATS["sarif"]([outcome("loihi1")]))
    wrong["runs"][0]["results"][0]["level"] = "fatal"
    assert not sarif_schema.is_valid(wrong)
    assert not junit_schema.is_valid(FORMATS["junit"]([outcome()]).replace("testcase", "test"))


def cases(outcomes: list[Outcome]) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(FORMATS["junit"](outcomes))
    return {case.attrib["name"]: case for case in root.iter("testcase")}


def test_junit_shows_every_rule_as_a_test() -> None:
    found = cases([mixed()])
    assert list(found) == [f"{rule.code} {rule.name}" for rule in RULES]
    failure = found["PD004 state-width"].find("failure")
    assert failure is not None and failure.text is not None
    assert failure.attrib["message"] == "error: membrane: the mass needs 30 signed bits, but a state holds 24"
    assert "How to fix: Use fewer quanta per unit" in failure.text
    for name in ("PD007 accumulator-width", "PD104 synaptic-memory"):
        assert [child.tag for child in found[name]] == ["system-out"]
        assert str(found[name].findtext("system-out")).startswith("warning: ")
    skipped = found["PD105 synapse-list"].find("skipped")
    assert skipped is not None and skipped.attrib["message"].startswith("not checked: no limit for the words")
    assert len(found["PD001 weight-mantissas"]) == 0


def test_junit_lists_all_findings_of_a_rule_and_counts() -> None:
    root = ElementTree.fromstring(FORMATS["junit"]([outcome("loihi1"), outcome("generic-int")]))
    assert [suite.attrib["name"] for suite in root] == ["loihi1", "generic-int"]
    for suite in root:
        for key, tag in (("failures", "failure"), ("skipped", "skipped")):
            assert int(suite.attrib[key]) == sum(case.find(tag) is not None for case in suite)
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase")) == len(RULES)
    assert int(root.attrib["failures"]) == sum(int(suite.attrib["failures"]) for suite in root) > 0
    failure = cases([outcome("loihi1")])["PD006 graded-spikes"].findtext("failure")
    assert failure is not None and "error: membrane: " in failure and "error: flux: " in failure


def test_junit_names_no_test_twice() -> None:
    paths = ("heat.pisnn", "a/heat.pisnn", "b/heat.pisnn", "/far/v1.2/heat.pisnn")
    outcomes = [outcome(name, PurePosixPath(path)) for path in paths for name in ("loihi2", "generic-int")]
    root = ElementTree.fromstring(FORMATS["junit"](outcomes))
    names = [(case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase")]
    assert len(set(names)) == len(names) == len(outcomes) * len(RULES)
    assert names[-1][0] == "generic-int.far.v1_2.heat"


def test_junit_has_growth_only_against_a_baseline() -> None:
    assert "resource-growth" not in cases([outcome()])
    assert len(cases([outcome(growths=GROWTHS[1:2])])["resource-growth"]) == 0
    failure = cases([outcome(growths=GROWTHS)])["resource-growth"].findtext("failure")
    assert failure == (
        "cores went from 1 to 2 (+100.0%), but at most 5% is allowed\n"
        "utilisation.neurons went from 0.00% to 25.00% (new), but at most 5% is allowed"
    )


def runs(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(FORMATS["sarif"](outcomes))["runs"]
    return found


def test_sarif_describes_every_rule() -> None:
    (run,) = runs([outcome()])
    described = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == [rule.code for rule in RULES]
    for plain, rule in zip(described, RULES, strict=True):
        assert plain["name"] == rule.name and plain["shortDescription"]["text"] == rule.statement
        assert f"**How to fix:** {rule.fix}" in plain["help"]["markdown"]
        assert plain["helpUri"] == anchor(rule)


def test_addresses_of_rules_are_headings_of_the_manual() -> None:
    headings = {
        line.removeprefix("## ").lower().replace(" ", "-") for line in manual().splitlines() if line[:3] == "## "
    }
    assert {anchor(rule).partition("#")[2] for rule in RULES} <= headings


def test_sarif_results_say_where() -> None:
    (run,) = runs([mixed()])
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels == {"PD004": "error", "PD007": "warning", "PD104": "warning", "PD105": "note"} | dict.fromkeys(
        ["PD115", "PD116"], "note"
    )
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    (location,) = run["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": "build/heat.pisnn", "uriBaseId": "%SRCROOT%"}
    assert location["logicalLocations"] == [{"name": "membrane", "kind": "population"}]
    (far,) = runs([outcome("loihi1", PurePosixPath("/far/heat 2.pisnn"))])
    place = far["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "file:///far/heat%202.pisnn"}


def fingerprints(one: Outcome) -> list[str]:
    (run,) = runs([one])
    return [value for result in run["results"] for value in result["partialFingerprints"].values()]


def test_fingerprints_are_distinct_and_survive_other_numbers() -> None:
    def wide(bits: int) -> Outcome:
        graph = with_bits(with_bits(HEAT, "flux", "current", bits), "flux", "residue", bits)
        return Outcome(ARTIFACT, check(graph, LOIHI2), RULES)

    first = fingerprints(wide(30))
    assert len(set(first)) == len(first) >= 3
    assert fingerprints(wide(31)) == first
    assert not set(fingerprints(outcome("loihi1"))) & set(first)


def test_one_run_a_profile_with_its_own_category() -> None:
    found = runs([outcome("loihi1"), outcome("generic-int"), outcome("loihi1", PurePosixPath("b.pisnn"))])
    assert [run["automationDetails"]["id"] for run in found] == [
        "pisnn-deploy/check/loihi1/",
        "pisnn-deploy/check/generic-int/",
    ]


def test_github_escapes_what_its_documentation_says() -> None:
    (line, *_) = FORMATS["github"]([outcome("loihi1", HOSTILE)]).splitlines()
    head, _, message = line.removeprefix("::error ").partition("::")
    assert head == "file=50%25%2Ca%3Ab%0D%0A\\x1b<&\"'>]]>\\udcff ü.pisnn,title=PD006 graded-spikes"
    assert message == (
        "its spikes carry integers, but loihi1 has only binary spikes (membrane, loihi1)"
        "%0AHow to fix: Compile the model for this target, which gives each bit of a payload its own line "
        "(`--spikes binary`), or use a target with graded spikes, such as loihi2."
    )


def test_github_levels_and_growth() -> None:
    *lines, facts = FORMATS["github"]([replace(mixed(), growths=GROWTHS)]).splitlines()
    assert facts == "checked build/heat.pisnn; profile: loihi2 of the library, chosen with --profile"
    assert [line.split()[0] for line in lines] == [
        "::error",
        "::warning",
        "::warning",
        "::notice",
        "::notice",
        "::notice",
        "::error",
        "::error",
    ]
    assert lines[-1].endswith("went from 0.00%25 to 25.00%25 (new), but at most 5%25 is allowed (loihi2)")


def test_text_says_everything_in_whole_lines() -> None:
    text = FORMATS["text"]([replace(mixed(), growths=GROWTHS)])
    assert text.startswith("build/heat.pisnn: fails loihi2\n") and "\x1b" not in text
    assert "\nerror: PD004 state-width: membrane: the mass needs 30 signed bits, but a state holds 24\n" in text
    assert "\n  cores                1      2       +100.0%\n" in text
    assert "\nerror: growth: cores went from 1 to 2 (+100.0%), but at most 5% is allowed\n" in text


def test_rules_that_were_left_out_stand_in_the_report() -> None:
    fewer = [outcome(rules=RULES[2:])]
    codes = [rule.code for rule in RULES[:2]]
    assert json.loads(FORMATS["json"](fewer))["rules_left_out"] == codes
    assert f"\nrules left out: {', '.join(codes)}\n" in FORMATS["text"](fewer)
    assert json.loads(FORMATS["sarif"](fewer))["runs"][0]["properties"]["rulesLeftOut"] == codes
    _, told = ElementTree.fromstring(FORMATS["junit"](fewer)).iter("property")
    assert told.attrib == {"name": "rules left out", "value": ", ".join(codes)}


def test_json_is_the_report_with_its_artifact_and_growth() -> None:
    one = outcome(growths=GROWTHS)
    plain = json.loads(FORMATS["json"]([one]))
    assert plain.pop("artifact") == "build/heat.pisnn"
    assert plain.pop("rules_left_out") == []
    assert plain.pop("baseline")[2] == {
        "resource": "utilisation.neurons",
        "old": 0.0,
        "new": 0.25,
        "change_percent": None,
        "grew": True,
    }
    assert plain.pop("made_with")["profile"] == {"source": "library", "sha256": "", "chosen_by": "--profile"}
    assert plain == json.loads(json.dumps(one.report.to_dict()))
    assert [report["profile"] for report in json.loads(FORMATS["json"]([one, one]))["reports"]] == ["loihi2"] * 2
