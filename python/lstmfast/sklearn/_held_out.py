"""Which sequences training does not see, so that it knows when to stop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


def split(
    rows: int, fraction: float, generator: np.random.Generator, classes: NDArray[Any] | None = None
) -> tuple[Places, Places]:
    """Divide rows into those to train on and those held out, at random; of each class the same part.

    A class of one row has none held out, and neither has one of which the fraction is less than half a row.
    """
    order = generator.permutation(rows)
    groups = [order] if classes is None else [order[classes[order] == k] for k in np.unique(classes)]
    counts = [min(math.floor(fraction * len(group) + 0.5), len(group) - 1) for group in groups]
    held_out = np.sort(np.concatenate([g[:n] for g, n in zip(groups, counts, strict=True)]))
    trained = np.sort(np.concatenate([g[n:] for g, n in zip(groups, counts, strict=True)]))
    return trained, held_out
