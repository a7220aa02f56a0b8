"""Faces are known by what they do: constants are read off a program that is a face's to the last operation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pisnn_deploy.programs import Program
from pisnn_deploy.programs.limiter import FaceLimiter
from pisnn_deploy.programs.neurons import FaceConstants, face_constants, flux, membrane, rectifier, sigma_delta

LIMITERS = st.one_of(
    st.builds(FaceLimiter, st.just("none"), st.just(0), st.booleans()),
    st.builds(FaceLimiter, st.sampled_from(["source", "target", "both"]), st.integers(1, 2000), st.booleans()),
)
constants = st.one_of(
    st.builds(FaceConstants, st.integers(1, 62), st.integers(1, 4096), st.one_of(st.none(), LIMITERS)),
    st.builds(FaceConstants, st.integers(1, 62), send_threshold=st.integers(1, 10**6)),
)


@given(constants)
def test_the_constants_of_a_face_are_those_that_its_program_was_written_with(face: FaceConstants) -> None:
    assert face_constants(face.program) == face
    assert face.is_late == (face.send_threshold is not None)
    assert face.packet_exponent == (0 if face.is_late else face.exponent)


@pytest.mark.parametrize(
    "program", [flux(7), flux(7, 410), flux(7, 4096, FaceLimiter("both", 2, True)), sigma_delta(3, 9)]
)
def test_a_program_with_one_operation_changed_is_no_face_or_another(program: Program) -> None:
    for number, operation in enumerate(program.operations):
        last = operation.operands[-1]
        others = [replace(operation, operands=(*operation.operands[:-1], last + 1))] if isinstance(last, int) else []
        if operation.name in ("add", "max", "ge"):
            others += [replace(operation, name={"add": "sub", "max": "min", "ge": "lt"}[operation.name])]
        for other in others:
            changed = replace(
                program, operations=(*program.operations[:number], other, *program.operations[number + 1 :])
            )
            found = face_constants(changed)
            assert found is None or found.program == changed


@pytest.mark.parametrize("program", [membrane(), rectifier(3)])
def test_other_neurons_are_no_faces(program: Program) -> None:
    assert face_constants(program) is None
