"""The one of Keras' backends that is at work, which Keras chooses when it is imported.

Each has a module of its own with the same names:

- `BEGINS_WITH_STATE`: what stands for the output of steps that a mask skips before the first one that counts:
  the initial h, or zeros;
- `refusal(recurrences, tensors, dtype)`: why a call of these tensors is none for the core, or None;
- `known(mask)`: the mask as an array, where it is known while the call is made, or None;
- `taken(x, index)`: of each row of x [B, T, I] the steps that index [B, N] names;
- `run(cell, recurrence, weights, x, state, skipping, wants_states, training)`: y [B, T, H] and the list of
  last states; wants_states: whether anybody asks for those; training: whether gradients are likely to be;
- `refuse_own_path(layer, x, reason)`: raises where Keras' own path would be silently wrong;
- `adopt(layer)`, `release(layer)`: what a layer needs besides that becomes ours, and no longer is.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import keras

_MODULES = {"torch": "_on_torch", "jax": "_on_jax", "tensorflow": "_on_tensorflow", "numpy": "_on_numpy"}

BACKEND: Any = import_module(f".{_MODULES.get(keras.config.backend(), '_on_none')}", __package__)
