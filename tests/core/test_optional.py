"""Where torch or Lava is missing, one line says so; any other missing module is a defect and stays one."""

from __future__ import annotations

import pytest

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.optional import needing, python_version


@pytest.mark.parametrize("name", ["torch", "torch.nn", "lava", "lava.lib.dl"])
def test_a_part_of_lava_dl_is_missing(name: str) -> None:
    with pytest.raises(UsageError) as refused, needing("lava-dl", "train"):
        raise ModuleNotFoundError(name=name)
    assert str(refused.value) == (
        f"train: needs lava-dl and its torch, which are not installed on this Python {python_version()}; they run on "
        "Python 3.10 alone: call pisnn-deploy from there"
    )


def test_torch_alone_is_missing() -> None:
    with pytest.raises(UsageError) as refused, needing("torch", "backend torch"):
        raise ModuleNotFoundError(name="torch")
    assert str(refused.value) == (
        f"backend torch: needs torch, which is not installed on this Python {python_version()}: pip install torch"
    )


@pytest.mark.parametrize("name", ["numpy", "lavaland", "pisnn_deploy.training.gone", None])
def test_any_other_module_that_is_missing_is_a_defect(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError), needing("lava-dl", "train"):
        raise ModuleNotFoundError(name=name)
