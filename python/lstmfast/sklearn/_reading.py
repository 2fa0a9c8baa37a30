"""What estimators are given as X: sequences, in one of three forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from .._base import checks
from .._fitting import checked_rows

Rows: TypeAlias = "NDArray[Any] | list[NDArray[Any]]"  # [n, T, I], or n arrays [T_k, I]


def read(estimator: Any, X: Any, *, reset: bool) -> Rows:
    """Check X, and note or compare `n_features_in_`.

    Parameters
    ----------
    estimator
        Whose X it is.
    X : [n, T, I]; n arrays [T_k, I]; or a table [n, features]
        A table (or a data frame) is read as sequences of one number a step, as many steps as it has columns.
    reset : bool
        Whether it is `fit`'s: then `n_features_in_` is set. It is I, or of a table its columns.

    Returns
    -------
    [n, T, I], or n arrays [T_k, I], of finite real numbers
    """
    if _is_ragged(X):
        rows = checked_rows(X, "X")
        _compare(estimator, rows[0].shape[1], False, reset)
        return rows
    if isinstance(X, (list, tuple)) and len({len(row) for row in X if _depth(row) == 1}) > 1:
        raise ValueError(
            "X: expected a list of arrays [T, I] or a table, got rows of different lengths; where a step is"
            " one number, x[:, np.newaxis] makes [T, 1] of each"
        )
    if getattr(X, "ndim", 2) != 3:
        table = validate_data(estimator, X, reset=reset, dtype="numeric", ensure_min_features=1)
        _compare(estimator, table.shape[1], True, reset)
        return np.asarray(table, _real(table))[:, :, np.newaxis]
    array = check_array(
        X, dtype="numeric", allow_nd=True, ensure_min_features=1, estimator=estimator, input_name="X"
    )
    if 0 in array.shape:
        raise ValueError(f"X: expected at least one step of at least one number, got shape {array.shape}")
    _compare(estimator, array.shape[2], False, reset)
    return np.asarray(array, _real(array))


def chosen(rows: Rows, places: NDArray[np.intp]) -> Rows:
    """Take some sequences."""
    return rows[places] if isinstance(rows, np.ndarray) else [rows[k] for k in places]


def _is_ragged(X: Any) -> bool:
    """Whether it is a list of sequences: what holds arrays of steps, each of some numbers."""
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and len(X) > 0 and np.ndim(X[0]) == 2
    return isinstance(X, (list, tuple)) and len(X) > 0 and _depth(X[0]) == 2


def _depth(value: Any) -> int:
    """How many axes it has, going by its first element: lists in it may be of different lengths."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return 1 + (_depth(value[0]) if len(value) else 0)
    return int(getattr(value, "ndim", 0))


def _compare(estimator: Any, features: int, table: bool, reset: bool) -> None:
    """Note what `fit` was given, or compare with it."""
    if reset:
        estimator.n_features_in_ = features
        estimator._of_table = table
        if not table and hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_  # of a table that an earlier fit was given
        return
    if table is not estimator._of_table:
        kinds = ("sequences of steps ([n, T, I], or a list of [T, I])", "a table [n, features]")
        raise ValueError(f"X: expected {kinds[estimator._of_table]}, as fit was given, got {kinds[table]}")
    if features != estimator.n_features_in_:
        raise ValueError(
            f"X: expected {estimator.n_features_in_} numbers a step, as fit was given, got {features}"
        )


def _real(array: NDArray[Any]) -> np.dtype[Any]:
    """Find the dtype in which real numbers are taken on: that of floats, else float64."""
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: X: expected real numbers")  # scikit-learn's words
    return array.dtype if array.dtype.kind == "f" else checks.FLOAT64
