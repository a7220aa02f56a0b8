"""Options that commands have in common."""

from __future__ import annotations

from typing import Any, Final

import click

HELP: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}
"""Settings of every command's context."""
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
QUIETER = click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor tables.")
