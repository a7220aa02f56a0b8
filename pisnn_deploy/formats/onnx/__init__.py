"""ONNX: networks read as untrusted files, graphs written as integer operators."""
