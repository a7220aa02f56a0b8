"""Files in lava-dl's layout are loaded by lava-dl's own netx, and Lava computes the drive of the contract from them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from models_under_test import compiled, heat_model, hidden_model, laplace_model

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.flux_model import model_of
from pisnn_deploy.formats.netx.writer import clipped_layers, mantissas, netx_file
from pisnn_deploy.physics.model import Model

LOADED = """
import contextlib, io, json, sys
import numpy as np
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    from lava.lib.dl import netx
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
linear, hidden = (netx.hdf5.Network(name, input_message_bits=24) for name in sys.argv[1:3])
changes = np.array(json.loads(sys.argv[3]))
source, sink = Source(data=changes), Sink(shape=(1,), buffer=changes.shape[1] + 2)
source.s_out.connect(linear.inp)
linear.out.connect(sink.a_in)
linear.run(RunSteps(changes.shape[1] + 2), Loihi2SimCfg(select_tag="fixed_pt"))
drive = sink.data.get().astype(int)[0].tolist()
linear.stop()
shapes = [list(layer.synapse.weights.shape) for layer in hidden.layers]
kinds = [type(layer.neuron).__name__ for layer in hidden.layers]
print(json.dumps({"drive": drive, "shapes": shapes, "kinds": kinds}))
"""


def test_netx_loads_the_file_and_lava_computes_the_drive(tmp_path: Path) -> None:
    for name, model in (("linear.net", heat_model()), ("hidden.net", hidden_model((4, 3)))):
        (tmp_path / name).write_bytes(netx_file(model))
    masses = np.random.default_rng(1).integers(0, 5000, (8, 5))
    changes = np.diff(masses, axis=1, prepend=0)
    command = [sys.executable, "-c", LOADED, "linear.net", "hidden.net", json.dumps(changes.tolist())]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # A synapse answers a time step later; mantissas are twice the integer weights.
    assert found["drive"][1:6] == (mantissas(heat_model(), 0)[0] @ masses).tolist()
    assert found["shapes"] == [[4, 4], [3, 4], [1, 3]] and found["kinds"] == ["SigmaDelta", "SigmaDelta", "Sigma"]


def test_what_the_file_holds() -> None:
    model = laplace_model()
    with h5py.File(io.BytesIO(netx_file(model)), "r") as file:
        assert sorted(file["layer"]) == ["0", "1"]
        layer = file["layer/1"]
        assert layer["type"][0] == b"dense" and layer["neuron/type"][()] == b"SDNN" and layer["neuron/sigma_output"][()]
        assert np.array_equal(layer["weight"], [[-4, 48, -48, 4]])
        ours = {
            name: layer[f"pisnn/{name}"][()] for name in ("neuron", "iDecay", "thresholdExponent", "weightExponent")
        }
        assert ours == {"neuron": b"CLIF", "iDecay": 4096, "thresholdExponent": 6, "weightExponent": 6}
        assert json.loads(file["pisnn/spec"][()]) == model.spec.model_dump(mode="json")


def test_layers_that_netx_would_clip_are_told() -> None:
    assert clipped_layers(heat_model()) == [] and clipped_layers(heat_model((0.1, 1.5))) == [0]


@pytest.mark.parametrize("model", [heat_model(), hidden_model((4, 3))])
def test_integers_of_an_artifact_are_exact_as_weights(model: Model) -> None:
    graph = compiled(model)
    written = model_of(graph)
    for number, layer in enumerate(graph.operator):
        exponent = graph.model_spec.weight_exponents[number]
        assert np.array_equal(written.weights[number] * 2.0**exponent, layer.weight)
        assert np.array_equal(written.biases[number] * 2.0**exponent / graph.value_per_quantum, layer.bias)


def test_a_missing_package_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError) as caught:
        netx_file(heat_model())
    message = "export --to netx needs h5py, which is not installed: pip install 'pisnn-deploy[netx]'"
    assert str(caught.value) == message
