"""Back ends: ONNX Runtime and PyTorch, how they are fed, which is faster."""
