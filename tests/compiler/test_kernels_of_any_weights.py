"""`compile --kernels any`: measured kernels that need not be near the trained one."""

from __future__ import annotations

import pytest

import pisnn_deploy as pd
from pisnn_deploy.compiler import search
from pisnn_deploy.core.errors import UsageError


def test_another_kernel_is_kept_where_it_is_more_accurate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EXPONENTS", (-2,))
    near, other = pd.compile("heat1d"), pd.compile("heat1d", kernels="any")
    quantisation, before = other.graph.quantisation, near.graph.quantisation
    assert quantisation.kernel_chosen == (2, -1, 9, 12, -12, -9, 1, -2)
    assert (quantisation.relative_l2_integer or 1.0) <= 3.3e-7 < (before.relative_l2_integer or 0.0)
    assert quantisation.steps == 109 and quantisation.relative_l2_float == before.relative_l2_float
    assert other.graph.value_per_quantum == 2.0**-21
    assert other.graph.certificate is not None and other.graph.certificate.stability.status == "proved"
    assert "search-kernels" in [record.name for record in other.graph.history]


def test_other_kernels_need_linear_fluxes() -> None:
    history = pd.compile("burgers1d", kernels="any").graph.history
    assert any(record.name == "search-kernels" and "not searched" in record.summary for record in history)


def test_an_unknown_choice_of_kernels_is_refused() -> None:
    with pytest.raises(UsageError, match="`kernels` 'all': expected one of near, any, long"):
        pd.compile("heat1d", kernels="all")  # type: ignore[arg-type]
