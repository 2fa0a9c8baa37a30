# Known by: _small, _layers, lstmfast
"""Streams: a model's state kept from call to call, for data that arrives frame by frame.

Layers are above: they get their `stream` and `stream_pool` from here.
"""

from .pool import StreamPool, _restored_pool
from .snapshot import StreamSnapshot
from .stream import Stream, _restored_stream
from .streamed import Streamed

__all__ = ["Stream", "StreamPool", "StreamSnapshot", "Streamed"]

# Pickles name them, and say that they are here.
for _function in (_restored_stream, _restored_pool):
    _function.__module__ = __name__
