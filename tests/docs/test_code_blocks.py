"""The pages do what they say: their code runs, page by page, in the order in which a reader meets it."""

from __future__ import annotations

import io
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from page_blocks import Block, blocks

from pisnn_deploy.cli.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in (
        DOCS / "index.md",
        DOCS / "reference" / "api.md",
        DOCS / "reference" / "laws.md",
        *(DOCS / "explanation" / f"{name}.md" for name in ("concepts", "faq", "limitations")),
        *DOCS.glob("how-to/*.md"),
        *(
            DOCS / "tutorials" / f"{name}.md"
            for name in ("from_lava", "from_pdes", "heat_on_a_chip", "a_law_of_your_own", "a_reaction_with_ledgers")
        ),
    )
)


def command(words: list[str]) -> int:
    """Run what `pisnn-deploy` on the path runs, without the seconds that a new interpreter takes to load torch."""
    assert words[0] == "pisnn-deploy", f"{words[0]}: run it here, or say why not"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", words)
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def follow(markdown: str, page: str) -> None:
    """Do what a page says, in the current folder.

    The marker of a block is empty or one of ``not run: REASON``, ``file: NAME`` (the text is saved under that name),
    ``prints`` (the text is what the block before printed), ``exits with N`` (the last command does).

    Raises
    ------
    AssertionError
        A command ended with another code than the page says, something else was printed, or an assertion of the
        page does not hold. Exceptions of its Python code are not caught.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks(markdown):
        where = f"{page}:{block.line}"
        marker, _, rest = block.marker.partition(" ")
        assert marker in ("", "not", "file:", "prints", "exits"), f"{where}: {block.marker!r} is no marker"
        if marker == "not":
            assert re.fullmatch(r"run: \S.*", rest), f"{where}: why is it not run?"
        elif marker == "file:":
            Path(rest).write_text(block.text)
        elif marker == "prints":
            assert printed == block.text, f"{where}: printed\n{printed}"
        elif block.language == "python":
            printed = python(block, page, namespace)
        elif block.language == "sh":
            printed = commands(block, where, int(rest.removeprefix("with ") or 0))


def python(block: Block, page: str, namespace: dict[str, Any]) -> str:
    """Run Python code, whose tracebacks name the page and its line, and give what it prints."""
    with redirect_stdout(io.StringIO()) as out:
        exec(compile("\n" * (block.line - 1) + block.text, str(DOCS / page), "exec"), namespace)
    return out.getvalue()


def commands(block: Block, where: str, expected: int) -> str:
    """Run commands, of which the last ends with the expected code and the others with 0, and give what they print."""
    codes = []
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        for line in block.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                codes.append(command(words))
    assert codes == [0] * (len(codes) - 1) + [expected], f"{where}: {codes}\n{out.getvalue()}"
    return out.getvalue()


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    follow((DOCS / page).read_text(), page)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("```python\nassert 1 == 2, 'not equal'\n```\n", "not equal"),
        ("```python\nprint(1)\n```\n<!-- prints -->\n```text\n2\n```\n", "page.md:6: printed\n"),
        ("```sh\npisnn-deploy verify none.pisnn\n```\n", r"page.md:2: \[2\]\n.*none.pisnn: cannot be read"),
        ("<!-- exits with 1 -->\n```sh\npisnn-deploy --version\n```\n", r"page.md:3: \[0\]"),
        ("```sh\nrm -rf precious\n```\n", "rm: run it here, or say why not"),
        ("<!-- not run:  -->\n```sh\nrm -rf precious\n```\n", "page.md:3: why is it not run?"),
        ("```sh title=a\npisnn-deploy\n```\n", "```sh title=a: write a language and nothing more, or it is not run"),
        ("<!-- print -->\n```text\n1\n```\n", "page.md:3: 'print' is no marker"),
    ],
)
def test_a_page_that_does_not_do_what_it_says_is_seen(
    page: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=told):
        follow(page, "page.md")


def test_a_block_may_say_why_it_is_not_run() -> None:
    follow("<!-- not run: it needs a chip -->\n```sh\nrm -rf precious\n```\n", "page.md")
