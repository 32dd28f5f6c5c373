"""What runs networks: PyTorch, ONNX Runtime, and the choice between them."""

__all__: list[str] = []
