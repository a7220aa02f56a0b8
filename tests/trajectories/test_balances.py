"""What an audit says of trajectories whose defects are known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.project.audit_request import AuditRequest, audit_law
from pisnn_deploy.project.auditing import audit
from pisnn_deploy.trajectories.result import FieldAudit
from pisnn_deploy.trajectories.sums import total_of

CELLS, STEPS, DIFFUSIVITY = 32, 30, 0.01
TIME_STEP = 0.4 / CELLS**2 / DIFFUSIVITY


def heat(dtype: type = np.float64, leak: int | None = None) -> dict[str, NDArray[Any]]:
    """Explicit two-point diffusion on a ring, whose cell 17 loses a thousandth in step `leak`."""
    u = (1 + 0.5 * np.cos(2 * np.pi * (np.arange(CELLS) + 0.5) / CELLS)).astype(dtype)
    rows, transported = [u], []
    for step in range(1, STEPS + 1):
        flux = -(u - np.roll(u, 1)) * dtype(0.4)
        u = u + flux - np.roll(flux, -1)
        if step == leak:
            u[17] *= dtype(0.999)
        rows.append(u.copy())
        transported.append(flux / dtype(CELLS))
    return {
        "u": np.stack(rows),
        "time": np.arange(STEPS + 1) * TIME_STEP,
        "transported_x": np.stack(transported),
    }


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "run.npz"
    np.savez(path, **arrays)
    return path


def audited(path: Path, **options: Any) -> FieldAudit:
    (field,) = audit(AuditRequest(path, **options)).fields
    return field


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_run_that_conserves(tmp_path: Path, dtype: type) -> None:
    path = saved(tmp_path, **heat(dtype))
    field = audited(path, boundary="periodic", law=f"diffusion={DIFFUSIVITY}")
    assert field.verdict == "conserved" and field.doubt == ""
    assert field.balance.first_break is None
    unit = float(np.finfo(dtype).eps) / 2
    # Four roundings of every cell; the mean value is 1.
    assert field.balance.allowed[0] == pytest.approx(4 * unit, rel=1e-3)
    assert field.local is not None and field.local.broken == 0
    assert field.law is not None and (field.law.rule, field.law.order) == ("explicit", 2)
    assert field.law.unexplained < 1e4 * unit and field.law.stands_out is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_leak_is_placed(tmp_path: Path, dtype: type) -> None:
    path = saved(tmp_path, **heat(dtype, leak=12))
    field = audited(path, boundary="periodic", law=f"diffusion={DIFFUSIVITY}")
    assert field.verdict == "violated" and field.balance.first_break == 12
    assert field.local is not None and field.local.first_break == (12, (17,)) and field.local.broken == 1
    assert field.law is not None and field.law.worst == field.law.stands_out == (12, (17,))


def test_drift_and_crmse_are_those_of_the_definition(tmp_path: Path) -> None:
    u = heat()["u"]
    u[3:] += 0.25
    field = audited(saved(tmp_path, u=u), tolerance=0.2)
    assert field.balance.first_break == 3
    assert float(field.balance.drifts[-1]) == pytest.approx(0.25)
    # PDEBench: |sum of a row - sum of its target| / cells, a mean over rows.
    apart = np.abs(u.sum(axis=1) - u[0].sum()) / CELLS
    assert field.balance.crmse == pytest.approx(apart.mean())
    assert audited(tmp_path / "run.npz", tolerance=0.3).verdict == "conserved"
    reference = tmp_path / "reference.npz"
    np.savez(reference, u=np.roll(heat()["u"], 3, axis=1))
    assert audited(tmp_path / "run.npz", reference=reference).crmse == pytest.approx(apart.mean())


def test_a_slow_leak_below_the_bound_is_doubted(tmp_path: Path) -> None:
    u = np.ones((200, 256)) + np.arange(200)[:, None] * 1e-16 * np.ones(256)
    u[:, 0] -= np.arange(200) * 2e-14
    field = audited(saved(tmp_path, u=u))
    assert field.verdict == "conserved" and "times that of independent rounding errors" in field.doubt


def test_mass_may_leave_through_an_open_side(tmp_path: Path) -> None:
    arrays = heat(leak=5)
    path = saved(tmp_path, u=arrays["u"])
    assert audited(path, boundary="dirichlet=0,1").verdict == "open"
    entered = np.diff(arrays["u"].mean(axis=1))
    path = saved(tmp_path, u=arrays["u"], entered=entered)
    assert audited(path, boundary="dirichlet=0,1").verdict == "conserved"
    path = saved(tmp_path, u=arrays["u"], entered=entered + 1e-9)
    assert audited(path, boundary="dirichlet=0,1").balance.first_break == 1


def test_faces_of_the_sides_say_what_came_in(tmp_path: Path) -> None:
    """Integers in 2D: walls along y, one quantum through each face along x in each step."""
    mass = np.zeros((4, 3, 2), np.int64)
    along_x = np.ones((3, 4, 2), np.int64)
    along_y = np.zeros((3, 3, 3), np.int64)
    along_y[1, 2, 1] = 5
    mass[2:, 2] += [-5, 5]
    path = saved(tmp_path, m=mass, transported_x=along_x, transported_y=along_y)
    field = audited(path, boundary="x=dirichlet=0,1 y=no-flux")
    assert field.verdict == "conserved" and field.is_exact and field.local is not None and not field.local.broken
    along_x[1, 3, 1] = 0  # one quantum less leaves the last cell
    field = audited(saved(tmp_path, m=mass, transported_x=along_x, transported_y=along_y))
    assert field.balance.first_break == 2 and field.balance.steps[1] == -1
    assert field.local is not None and field.local.first_break == (2, (2, 1))


def test_integers_are_compared_exactly(tmp_path: Path) -> None:
    mass = np.array([[2**62, 2**62 + 1], [2**62 + 1, 2**62]])
    assert audited(saved(tmp_path, m=mass)).verdict == "conserved"
    mass[1, 0] += 1
    field = audited(saved(tmp_path, m=mass), tolerance=0.5)
    assert field.balance.drifts == (Fraction(1),)


def test_fields_are_added(tmp_path: Path) -> None:
    a = np.random.default_rng(1).random((5, 4, 3))
    path = saved(tmp_path, a=a, b=2 - a, c=np.zeros((5, 7)))
    assert audited(path, fields=("a+b",)).verdict == "conserved"
    both = audit(AuditRequest(path, mesh="4x3"))
    assert [field.verdict for field in both.fields] == ["violated", "violated"] and both.verdict == "violated"


def test_amounts_say_which_field_they_are_of(tmp_path: Path) -> None:
    arrays = heat()
    path = saved(tmp_path, **arrays, v=2 * arrays["u"])
    with pytest.raises(FileError, match=r"transported_x: does not say that it is of u; name it u\.transported_x"):
        audit(AuditRequest(path))
    with pytest.raises(FileError, match=r"does not say that it is of u\+v"):
        audit(AuditRequest(path, fields=("u+v",)))
    assert audited(path, fields=("u",)).local is not None
    arrays["u.transported_x"] = arrays.pop("transported_x")
    both = audit(AuditRequest(saved(tmp_path, **arrays, v=2 * arrays["u"])))
    assert [field.local is not None for field in both.fields] == [True, False] and both.verdict == "conserved"


def test_volumes_weight_the_cells(tmp_path: Path) -> None:
    u = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 3.0]])
    path = saved(tmp_path, u=u, volume=[1.0, 2.0, 0.5])
    assert audited(path).verdict == "conserved" and audited(path).balance.totals[0] == Fraction(13, 2)
    assert audited(saved(tmp_path, u=u)).verdict == "violated"


def test_a_law_of_several_fields(tmp_path: Path) -> None:
    rows = np.stack([np.full(16, 2.0), np.full(16, 2.0)])
    path = saved(tmp_path, h=rows, q=0 * rows, time=[0.0, 0.1])
    result = audit(AuditRequest(path, law="shallow_water1d"))
    by_name = {field.name: field for field in result.fields}
    assert by_name["h"].verdict == "conserved" and by_name["h"].law is not None and not by_name["h"].law.largest.any()
    with pytest.raises(FileError, match="has no field 'q' of the law; its fields are h"):
        audit(AuditRequest(path, law="shallow_water1d", fields=("h",)))
    with pytest.raises(UsageError, match="has 1 axes, but the fields have 2"):
        audit(AuditRequest(path, law="shallow_water1d", mesh="4x4"))


def test_sources_and_exchange_open_a_field(tmp_path: Path) -> None:
    rows = np.full((3, 8, 8), 0.5)
    path = saved(tmp_path, u=rows, v=rows, time=[0.0, 1.0, 2.0])
    by_name = {field.name: field for field in audit(AuditRequest(path, law="gray_scott2d")).fields}
    assert by_name["u"].verdict == "open" and by_name["u"].sides.startswith("source ")
    assert by_name["u"].sides.endswith("exchange reaction")
    together = audit_law("gray_scott2d", None, 2).opening("u+v")
    assert "source" in together and "exchange" not in together


@pytest.mark.parametrize("size", [0, 1, 2, 7, 1000])
def test_sums_are_as_good_as_exact(size: int) -> None:
    rng = np.random.default_rng(size)
    values = rng.standard_normal(size) * 10.0 ** rng.integers(-12, 12, size)
    volumes = rng.random(size) + 0.1
    expected = sum(map(Fraction, values.tolist()), Fraction(0))
    assert abs(total_of(values) - expected) <= Fraction(1e-28) * sum(abs(Fraction(v)) for v in values.tolist())
    weighted = [Fraction(v) * Fraction(w) for v, w in zip(values.tolist(), volumes.tolist(), strict=True)]
    assert abs(total_of(values, volumes) - sum(weighted)) <= Fraction(1e-28) * sum(map(abs, weighted))


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int8])
def test_sums_of_integers_are_exact(dtype: Any) -> None:
    limits: Any = np.iinfo(dtype)
    values: NDArray[Any] = np.array([limits.max, limits.min, limits.max, limits.max - 1, 3], dtype)
    assert total_of(values) == sum(values.tolist())
