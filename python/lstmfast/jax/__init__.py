# Known by: _bench, keras
"""JAX: `lstm`, `gru` and `rnn` as functions, under `jit`, `grad`, `vmap`, `scan` and the rest.

>>> import jax, jax.numpy as jnp, lstmfast, lstmfast.jax
>>> params = {name: jnp.asarray(w) for name, w in lstmfast.LSTM(3, 32, seed=0).state_dict().items()}
>>> y, (h, c) = jax.jit(lstmfast.jax.lstm)(jnp.ones((5, 2, 3)), params)
>>> y.shape
(5, 2, 32)

Needs JAX, which lstmfast itself does not: `pip install 'lstmfast[jax]'`. The calls run on CPUs.
"""

try:
    import jax as _  # noqa: F401
except ImportError as error:
    raise ImportError("lstmfast.jax needs JAX: pip install 'lstmfast[jax]'") from error

from ._foreign import from_weights
from ._functions import gru, lstm, rnn
from ._targets import register

__all__ = ["from_weights", "gru", "lstm", "register", "rnn"]
