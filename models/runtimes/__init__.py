"""What runs an exported graph: ONNX Runtime, OpenVINO, CUDA, TensorRT; what an export leaves."""
