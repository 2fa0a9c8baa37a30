# Known by: _small, _layers, _demo, _bench
"""Files: how layers are saved, and loaded again."""
