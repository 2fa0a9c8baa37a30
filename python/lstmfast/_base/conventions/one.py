"""One layer in one direction, arrays of any namespace, traced ones too: for those who keep theirs."""

from __future__ import annotations

from collections.abc import Mapping

from . import choosing, table, walking
from .forms import Form, Sizes
from .namespaces import Numbers


def to_ours(
    arrays: Mapping[str, Numbers],
    convention: str,
    kind: str,
    *,
    reset_after: bool | None = None,
    called: str = "arrays",
) -> tuple[dict[str, Numbers], Form, Sizes]:
    """Turn arrays of a convention, by the names in its row, into ours without layer and direction.

    Parameters
    ----------
    arrays
        By name, `/` between the parts of names.
    convention, kind
        A row's name, and "LSTM", "GRU" or "RNN".
    reset_after
        Of a GRU whose arrays do not tell; None: what the framework does.
    called
        What messages call the arrays.

    Returns
    -------
    parameters, form, sizes
        The last two are what `to_theirs` takes.

    Raises
    ------
    ValueError
        If there is no such row or kind, or arrays are missing, unexpected or of another shape.
    """
    row = table.row(convention)
    forms = table.forms(row, kind)
    able = tuple(form for form in forms if reset_after is None or form.reset_after == reset_after)
    if not able:
        raise ValueError(f"reset_after: expected {not reset_after} for {convention!r}, got {reset_after}")
    form, sizes = choosing.fitted(arrays, able, called, convention)
    return walking.read(arrays, form, kind, sizes), form, sizes


def to_theirs(
    parameters: Mapping[str, Numbers], form: Form, kind: str, sizes: Sizes, *, gradients: bool = False
) -> dict[str, Numbers]:
    """Turn ours into arrays of a form, or gradients by ours into gradients by theirs.

    Of values that are traced, none can be found to be 0: where a form has no second bias of a GRU's n, only
    gradients can be written of them.
    """
    return walking.written(parameters, form, kind, sizes, gradients=gradients)
