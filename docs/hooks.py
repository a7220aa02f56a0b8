"""Hooks of `properdocs build`: add the examples, the changelog, the help and the output of the command line."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import click
from click.testing import CliRunner
from properdocs.config.defaults import ProperDocsConfig
from properdocs.structure.files import File, Files
from properdocs.structure.pages import Page

from pisnn_deploy.cli.main import group

ROOT = Path(__file__).parents[1]
EXAMPLES = "examples"
SHOWN = {".csv", ".ipynb", ".md", ".png", ".py", ".sh", ".yaml"}
"""Suffixes of files that pages may link to."""
CHANGELOG = "CHANGELOG.md"
COMMANDS_HERE = "<!-- commands -->"
"""Mark in `cli.md` that is replaced by the help of every command."""
FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block of a page that readers save under a name."""
OUTPUT_HERE = re.compile(r"<!-- output: (\S+) -->")
"""Mark that is replaced by what `law show` prints of a file of the page."""
LINK_UPWARDS = re.compile(r"(?<=\]\()\.\./[^)#\s]+")


def on_files(files: Files, *, config: ProperDocsConfig) -> Files:
    """Add files outside docs/ to the site."""
    texts = sorted(path for path in (ROOT / EXAMPLES).rglob("*") if path.suffix in SHOWN)
    for path in (*texts, ROOT / CHANGELOG):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: ProperDocsConfig, files: Files) -> str:
    """Fix links between docs/ and files outside it, and insert the help of the command line."""
    here = page.file.src_uri
    in_repository = PurePosixPath(here if here.startswith(f"{EXAMPLES}/") else f"docs/{here}").parent

    def in_site(link: re.Match[str]) -> str:
        target = posixpath.normpath(in_repository / link[0])
        return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(here) or ".")

    markdown = OUTPUT_HERE.sub(lambda mark: shown_law(markdown, mark[1]), markdown)
    return LINK_UPWARDS.sub(in_site, markdown).replace(COMMANDS_HERE, "\n".join(command_line()))


def shown_law(markdown: str, name: str) -> str:
    """Block with what `law show` prints of a file of a page."""
    files = {match[1]: match[2] for match in FILE.finditer(markdown)}
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(files[name])
        result = CliRunner().invoke(group, ["law", "show", str(path)], catch_exceptions=False)
    return f"```text\n{result.output}```"


def command_line() -> Iterator[str]:
    """Yield the help of every command as Markdown, formatted as in the terminal."""
    yield from _helped(group.make_context("pisnn-deploy", [], resilient_parsing=True, terminal_width=80), 2)


def _helped(context: click.Context, level: int) -> Iterator[str]:
    command = context.command
    yield from (f"{'#' * level} {context.command_path}", "", "```text", command.get_help(context), "```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _helped(below.make_context(name, [], context, resilient_parsing=True), level + 1)
