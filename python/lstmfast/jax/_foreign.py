"""Weights that other frameworks keep, as parameters of the functions: traced, and so are their gradients."""

from __future__ import annotations

from typing import Any

from .._base import checks
from .._base.conventions import names, one, table
from . import _arguments


def from_weights(
    weights: Any, convention: str, kind: str = "LSTM", *, prefix: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Turn a cell's weights of another framework into what `lstm`, `gru` or `rnn` takes.

    It may stand inside a function that is compiled and differentiated, by the weights as they are.

    Parameters
    ----------
    weights
        A mapping from names to arrays, or of such mappings; or an object with these attributes, as a cell of
        Equinox'.
    convention
        Whose they are: "equinox", "haiku", "flax", "keras" and all others that `docs/conventions.md` lists.
    kind
        "LSTM", "GRU" or "RNN".
    prefix
        What their names begin with, "lstm/" of a Haiku LSTM's by that name.

    Returns
    -------
    params
        Arrays by our names, `weight_ih_l0` and so on.
    options
        What the function has to be told beside them, by keyword: a GRU's `reset_after`, an RNN's
        `nonlinearity`.

    Raises
    ------
    TypeError, ValueError
        If there is no such convention or kind, or arrays are missing, unexpected, or of another shape or
        dtype.

    Examples
    --------
    >>> params, options = from_weights(cell, "equinox", "GRU")    # doctest: +SKIP
    >>> y, h = lstmfast.jax.gru(x, params, **options)             # doctest: +SKIP
    """
    row = table.row(convention)
    checks.choice(kind, "kind", ("LSTM", "GRU", "RNN"))
    arrays = names.flat(weights, "weights", table.forms(row, kind), prefix, _arguments.real)
    ours, form, _ = one.to_ours(arrays, convention, kind, called="weights")
    options: dict[str, Any] = {"reset_after": form.reset_after} if kind == "GRU" else {}
    if kind == "RNN" and row.nonlinearity:
        options["nonlinearity"] = row.nonlinearity
    return {f"{name}_l0": array for name, array in ours.items()}, options
