# Known by: _small, _layers
"""Files: how layers are saved, and loaded again."""
