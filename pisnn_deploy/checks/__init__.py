"""Checks of a graph against a hardware profile: one function per rule, all violations reported."""

from pisnn_deploy.checks.report import Finding, Report, Resources, Severity
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.checks.rules import ALL_RULES, RULES, check, check_board, check_target

__all__ = [
    "ALL_RULES",
    "RULES",
    "Finding",
    "Report",
    "Resources",
    "Rule",
    "Severity",
    "check",
    "check_board",
    "check_target",
]
