"""Tests of lstmfast.onnx."""
