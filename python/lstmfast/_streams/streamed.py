"""Models that can be streamed."""

from __future__ import annotations

from .._base.arguments import StateLikeT, StateT
from .._base.inference import Inference
from .pool import StreamPool
from .stream import Stream


class Streamed(Inference[StateT, StateLikeT]):
    """Base of every layer whose state can be kept from call to call."""

    def stream(self, batch: int = 1) -> Stream[StateT]:
        """Keep a state from call to call: `Stream` of this model, with B = `batch` rows."""
        return Stream(self, batch)

    def stream_pool(self, capacity: int) -> StreamPool[StateT]:
        """Keep the states of up to `capacity` streams, to step any of them as one batch: `StreamPool`."""
        return StreamPool(self, capacity)
