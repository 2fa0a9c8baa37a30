# Known by: _small, _layers, onnx, _demo, _bench
"""Files: how layers are saved, and loaded again."""
