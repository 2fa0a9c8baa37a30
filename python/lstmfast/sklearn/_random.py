"""Seeds, of what scikit-learn takes as random_state."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def seed_of(random_state: Any) -> int:
    """Make one seed: an integer is that itself, others are asked for a number."""
    if isinstance(random_state, (int, np.integer)):
        check_random_state(random_state)  # which says what is wrong with a negative one
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1, dtype=np.int64))
