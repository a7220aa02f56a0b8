"""ONNX: reader of networks, writer of graphs as integer operators."""
