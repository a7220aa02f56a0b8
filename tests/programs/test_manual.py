"""The page docs/reference/neurons.md is what the language and the programs of neurons say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pisnn_deploy.programs import limiter, neurons, parse
from pisnn_deploy.programs.language import SIGNATURES
from pisnn_deploy.programs.manual import main, makers, manual

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "neurons.md"


def test_the_page_is_what_the_code_says() -> None:
    update = "run: python -m pisnn_deploy.programs.manual docs/reference/neurons.md"
    assert PAGE.read_text(encoding="utf-8") == manual(), update


def test_every_operation_has_its_row() -> None:
    table = manual().split("| --- | --- |\n")[1].split("\n\n")[0]
    names = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert sorted(names) == sorted(SIGNATURES)


def test_every_neuron_is_there_with_its_text() -> None:
    assert makers() == (neurons.membrane, neurons.rectifier, neurons.flux, neurons.sigma_delta, limiter.answer)
    *texts, shortened = re.findall(r"```text\n(.*?)\n```", manual(), re.DOTALL)
    programs = [parse(text) for text in texts]
    assert programs == [
        neurons.membrane(),
        neurons.rectifier(8),
        neurons.flux(8),
        neurons.flux(8, 8, limiter.FaceLimiter("both", 8, True)),
        neurons.flux(8, 8, sees_residues=True),
        neurons.sigma_delta(8, 8),
    ]
    (entries,) = re.findall(r"table reciprocal = (.*)\n", shortened)
    ends = entries.split(" ... ")
    words = " ".join(map(str, limiter.answer(True, True).table("reciprocal").entries))
    assert words.startswith(ends[0]) and words.endswith(ends[1])
    assert parse(shortened.replace(entries, words)) == limiter.answer(True, True)


def test_the_command_writes_the_page_or_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "neurons.md")])
    assert (tmp_path / "neurons.md").read_text(encoding="utf-8") == manual() and capsys.readouterr().out == ""
    main([])
    assert capsys.readouterr().out == manual()
