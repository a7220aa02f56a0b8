"""What may be missing: one line names the extra that has it."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.optional import EXTRA_OF, INTERPRETER_VARIABLE, LAVA_DL, is_installed, lava_runs_here, require
from pisnn_deploy.runs import usual_backend

SETUP = Path(__file__).parents[2] / "setup.cfg"


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.strip().splitlines()]


def extras() -> dict[str, list[Requirement]]:
    config = configparser.ConfigParser()
    config.read(SETUP)
    return {name: requirements(text) for name, text in config["options.extras_require"].items()}


def test_each_package_is_in_the_extra_that_messages_name() -> None:
    for package, extra in EXTRA_OF.values():
        assert package in [needed.name for needed in extras()[extra]], package


def test_all_is_every_extra_but_those_of_developers() -> None:
    (whole,) = extras()["all"]
    assert whole.name == "pisnn-deploy"
    assert whole.extras == set(extras()) - {"all", "baselines", "dev", "docs"}


@pytest.mark.parametrize("module", [module for module in EXTRA_OF if not module.startswith("lava")])
def test_a_module_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    package, extra = EXTRA_OF[module]
    with pytest.raises(UsageError) as refused:
        require("export", module)
    assert str(refused.value) == (
        f"export needs {package}, which is not installed: pip install 'pisnn-deploy[{extra}]'"
    )


def test_lava_and_its_training_are_named_with_the_python_that_they_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("lava.")]:  # loaded by other tests
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lava", None)
    with pytest.raises(UsageError) as refused:
        require("train", LAVA_DL)
    assert str(refused.value) == "train needs lava-dl, which is not installed: pip install 'pisnn-deploy[train]'"
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    with pytest.raises(UsageError) as refused:
        require("train", LAVA_DL)
    assert str(refused.value) == "train needs lava-dl, which only runs on Python 3.10, not 3.12"


def test_what_is_installed_is_found_without_being_imported() -> None:
    assert is_installed("numpy") and not is_installed("lavaland") and not is_installed("lavaland.lib")
    assert require("plot", "numpy") is None  # type: ignore[func-returns-value]


def test_a_run_that_names_no_backend_takes_lava_where_it_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INTERPRETER_VARIABLE, raising=False)
    assert usual_backend() == ("cpu", "")
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    assert not lava_runs_here()
    lava = "cpu needs lava-nc, which only runs on Python 3.10, not 3.14"
    assert usual_backend() == ("fast", f"running on fast, which gives the same integers: {lava}")
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert usual_backend() == (
        "fast",
        f"running in plain numpy, which gives the same integers slowly: {lava}; "
        "fast needs llvmlite, which is not installed: pip install 'pisnn-deploy[fast]'",
    )
    monkeypatch.setenv(INTERPRETER_VARIABLE, "/opt/python3.10")
    assert usual_backend() == ("cpu", "")
