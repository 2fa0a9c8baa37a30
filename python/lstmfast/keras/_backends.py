"""The one of Keras' backends that is at work, which Keras chooses when it is imported.

Each has a module of its own with the same names:

- `BEGINS_WITH_STATE`: what stands for the output of steps that a mask skips before the first one that counts:
  the initial h, or zeros;
- `refusal(recurrences, tensors, dtype)`: why a call of these tensors is none for the core, or None;
- `known(mask)`: the mask as an array, where it is known while the call is made, or None;
- `run(cell, recurrence, weights, x, state, skipping, wants_states)`: y [B, T, H] and the list of last states;
  wants_states: whether anybody asks for those;
- `refuse_own_path(layer, x, reason)`: raises where Keras' own path would be silently wrong;
- `free_state(layer, x)`: an initial state for whoever traces, or None for Keras' own;
- `adopt(layer)`, `release(layer)`: what a layer needs besides that becomes ours, and no longer is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import keras


@cache
def current() -> Any:
    """Return the module of Keras' backend."""
    name = keras.config.backend()
    if name == "torch":
        from . import _on_torch as found
    elif name == "jax":
        from . import _on_jax as found  # type: ignore[no-redef]
    elif name == "tensorflow":
        from . import _on_tensorflow as found  # type: ignore[no-redef]
    elif name == "numpy":
        from . import _on_numpy as found  # type: ignore[no-redef]
    else:
        from . import _on_none as found  # type: ignore[no-redef]
    return found
