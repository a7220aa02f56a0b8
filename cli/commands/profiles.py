"""``pisnn-deploy profiles``."""

from __future__ import annotations

import click

from pisnn_deploy.cli.console import Row, print_json, print_line, print_table
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.target import (
    Figure,
    board_names,
    load_board,
    load_profile,
    load_target,
    names,
    parents_of,
    validate_profile,
)


@click.group("profiles", context_settings=HELP, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List, show or validate hardware profiles.

    \b
    Examples:
      pisnn-deploy profiles
      pisnn-deploy profiles show loihi2
      pisnn-deploy profiles validate my_board.yaml
      pisnn-deploy profiles schema > profile.schema.json
    """
    if context.invoked_subcommand is None:
        context.invoke(list_profiles)


@command.command("list", context_settings=HELP)
@JSON
@QUIET
def list_profiles(as_json: bool, quiet: bool) -> None:
    """List the built-in profiles of chips, with the usable cores of all chips, and those of boards.

    \b
    Examples:
      pisnn-deploy profiles list
      pisnn-deploy profiles list --json
    """
    profiles = [load_profile(name) for name in names()]
    if as_json:
        listed = [
            {
                "name": profile.name,
                "description": profile.description,
                "extends": next(iter(parents_of(profile.name)), None),
                "chips": profile.system.chips.value,
                "cores_usable_per_chip": profile.chip.cores_usable.value,
                "state_bits": profile.state.bits.value,
                "payload_bits": profile.payload.bits.value,
            }
            for profile in profiles
        ]
        boards = [
            {"name": board.name, "description": board.description, "target": board.target}
            for board in map(load_board, board_names())
        ]
        print_json({"profiles": listed, "boards": boards})
    elif not quiet:
        rows: list[Row] = [
            (
                profile.name,
                _count(profile.system.chips),
                _count(profile.chip.cores_usable, profile.system.chips.value or 1),
                f"{profile.state.bits.value}/{profile.payload.bits.value}",
                profile.description,
            )
            for profile in profiles
        ]
        print_table("profiles", rows, ("name", "chips", "cores", "states/payload bits", "description"))
        boards_shown: list[Row] = [
            (board.name, board.target, board.description) for board in map(load_board, board_names())
        ]
        print_table("boards, which run exports", boards_shown, ("name", "target", "description"))


def _count(figure: Figure[int | None], times: int = 1) -> str:
    if figure.value is None:
        return "unpublished" if figure.is_unpublished else "no limit"
    return f"{figure.value * times:,}"


@command.command("show", context_settings=HELP)
@click.argument("name")
@JSON
@QUIET
def show(name: str, as_json: bool, quiet: bool) -> None:
    """Show every figure of the profile NAME with its range, confidence and source, and the profiles it extends.

    \b
    Examples:
      pisnn-deploy profiles show loihi2
      pisnn-deploy profiles show my_board.yaml --json
    """
    plain = load_target(name).model_dump(mode="json")
    parents = parents_of(name)
    if as_json:
        # The output is a valid profile file, since JSON is YAML.
        print_json({"extends": parents[0], **plain} if parents else plain)
        return
    if quiet:
        return
    rows: list[Row] = []
    for section, figures in plain.items():
        if isinstance(figures, dict):
            for key, figure in figures.items():
                rows.append(
                    (f"{section}.{key}", str(figure["value"]), _range(figure), figure["confidence"], figure["source"])
                )
    if parents:
        print_line(f"{plain['name']} extends {', which extends '.join(parents)}")
    print_table(plain["description"], rows, ("figure", "value", "range", "confidence", "source"))


def _range(figure: dict[str, object]) -> str:
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return "" if low is high else f"at most {high}" if low is None else f"at least {low}"
    return f"{low} to {high}"


@command.command("validate", context_settings=HELP)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@JSON
@QUIET
@click.pass_context
def validate(context: click.Context, files: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Validate your own profiles: list every error of each FILE and of the profiles it extends.

    \b
    Examples:
      pisnn-deploy profiles validate my_board.yaml
      pisnn-deploy profiles validate boards/*.yaml --json
    """
    problems = {file: validate_profile(file) for file in files}
    if as_json:
        reports = [
            {
                "file": file,
                "valid": not wrong,
                "name": None if wrong else load_target(file).name,
                "errors": [vars(problem) for problem in wrong],
            }
            for file, wrong in problems.items()
        ]
        print_json({"valid": not any(problems.values()), "files": reports})
    else:
        for file, wrong in problems.items():
            for problem in wrong:
                print_message(f"error: {problem.sentence}")
            if not wrong and not quiet:
                print_line(f"{file}: a valid profile of {load_target(file).name}")
    if any(problems.values()):
        context.exit(UsageError.exit_code)


@command.command("schema", context_settings=HELP)
@click.option("--boards", is_flag=True, help="Schema of profiles of boards instead of those of chips.")
@QUIET
def schema(boards: bool, quiet: bool) -> None:
    """Print the JSON Schema of profile files, for completion and checks in editors.

    \b
    Examples:
      pisnn-deploy profiles schema > profile.schema.json
      pisnn-deploy profiles schema --boards > board.schema.json
    """
    from pisnn_deploy.target.json_schema import board_schema, json_schema

    if not quiet:
        print_json(board_schema() if boards else json_schema())
