"""Run an exported PISNN with onnxruntime alone: python run.py heat1d.onnx [STEPS]."""

import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
metadata = session.get_modelmeta().custom_metadata_map
shapes = {value.name: value.shape for value in session.get_inputs()}
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100

state = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
cells = np.arange(shapes["mass"][0]) / shapes["mass"][0]
values = 1 + 0.5 * np.cos(2 * np.pi * cells)
state["mass"] = np.rint(values / float(metadata["value_per_quantum"])).astype(np.int64)
before = state["mass"].sum()
for _ in range(steps):
    mass, current, residue, packets = session.run(None, state)
    state = {"mass": mass, "current": current, "residue": residue}
assert mass.sum() == before  # not one quantum is lost
time, scale = steps * float(metadata["time_step"]), float(metadata["value_per_quantum"])
print(f"{metadata['model']}: {steps} PDE steps to time {time:.4f}, {before} quanta throughout")
print(f"values from {mass.min() * scale:.6f} to {mass.max() * scale:.6f}")
