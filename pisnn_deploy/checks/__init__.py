"""Checks of a graph against a hardware profile: one function per rule, all violations reported."""

from pisnn_deploy.checks.report import Finding, Report, Resources, Severity
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.checks.rules import RULES, check

__all__ = ["RULES", "Finding", "Report", "Resources", "Rule", "Severity", "check"]
