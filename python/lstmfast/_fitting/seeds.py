"""Random numbers of a training, each use with a stream of its own."""

from __future__ import annotations

import numpy as np


def streams(seed: int | None, uses: int) -> list[np.random.Generator]:
    """Make generators for so many uses.

    They are PCG64's, of children of one SeedSequence: the same on every machine and for any number of
    threads, and what one use draws changes nothing for the others.
    """
    return [np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(uses)]
