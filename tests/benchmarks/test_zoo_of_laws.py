from __future__ import annotations

from benchmarks.zoo_of_laws import section


def test_a_law_stands_beside_float_schemes_with_as_many_steps_and_with_their_own() -> None:
    lines, card = section("lwr")
    own = lines[: lines.index("Held-out starts:")]
    rows = [line.strip("| ").split(" | ") for line in own if line.startswith("|")][2:]
    assert [row[0] for row in rows[:3]] == ["**integers**", "godunov", "godunov"] and len(rows) == 9
    assert rows[0][1] == rows[1][1] and rows[0][4] == "0"
    errors = {row[0]: float(row[3].removeprefix("rho ")) for row in rows}
    assert errors["weno5"] < errors["**integers**"] < errors["muscl"] < errors["godunov"]
    assert f"relative L1 error {rows[0][3]}, drift 0" in card.replace("\n", " ")
