# Known by: _small, _layers, onnx, _demo, _bench, _forecast
"""Files: how layers are saved, and loaded again."""
