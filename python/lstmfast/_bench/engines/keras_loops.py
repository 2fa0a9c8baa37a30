"""What Keras itself makes of a batch of NumPy arrays: `predict_on_batch`, and `train_on_batch` with Adam."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..problem import Results
from . import Run
from .keras_model import KerasModel

__all__ = ["fit", "predict"]

# So low that weights stay what they are, however often a step is timed.
LEARNING_RATE = 1e-9


def predict(built: KerasModel) -> Run:
    """Time `predict_on_batch`: y and the states as NumPy arrays."""
    return Run(lambda: built.model.predict_on_batch(built.given), built.states)


def fit(built: KerasModel) -> Run:
    """Time `train_on_batch`: forward, loss, gradients, Adam. The loss is the sum of y times a given dy.

    What Adam remembers of a first step is a part of the gradients, which are read there.
    """
    keras: Any = importlib.import_module("keras")

    class Sum(keras.losses.Loss):  # type: ignore[misc] # Keras may not be there for the type checker
        """Nothing of Keras' own: no mean over the batch, and no mask, which y has obeyed."""

        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:  # noqa: ANN401
            return keras.ops.sum(keras.ops.multiply(y_true, y_pred))

    model = keras.Model(built.model.inputs, built.model.outputs[0])
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    model.compile(optimizer=optimizer, loss=Sum())

    def step() -> Any:  # noqa: ANN401 - as the backend returns it
        return model.train_on_batch(built.given, built.dy)

    def gradients(returned: object) -> Results:
        del returned  # the loss
        means = [one for one in optimizer.variables if one.path.endswith("momentum")]
        for one in means:
            one.assign(keras.ops.zeros(one.shape, one.dtype))
        step()
        first = [np.asarray(keras.ops.convert_to_numpy(one)) for one in means]
        found = [array / (1 - optimizer.beta_1) for array in first]
        trained = model.trainable_variables
        order = [[one is mine for one in trained].index(True) for mine in built.variables]
        return built.parameter_gradients([found[k] for k in order])

    return Run(step, gradients)
