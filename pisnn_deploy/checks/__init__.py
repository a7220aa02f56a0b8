"""Whether a graph fits a hardware profile: one function a rule, every violation reported."""

from pisnn_deploy.checks.report import Finding, Report, Resources, Severity
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.checks.rules import RULES, check

__all__ = ["RULES", "Finding", "Report", "Resources", "Rule", "Severity", "check"]
