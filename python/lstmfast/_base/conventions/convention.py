"""What a row of the table is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .forms import Form, form


@dataclass(frozen=True)
class Convention:
    """A row."""

    name: str
    title: str  # what has these arrays
    forms: Mapping[str, tuple[Form, ...]] = field(default_factory=dict)  # by the kind's name
    holding: str = "apart"  # how layers and directions are put together: see `holding`
    nesting: str = ""  # how names are: see `names`
    nonlinearity: str = "tanh"  # of its plain RNN
    option: bool = False  # whether the forget gate's offset is an argument of the framework's cell
    file: str = ""  # what reads and writes it where it is no arrays by name: see `formats`


def row(
    name: str,
    title: str,
    lstm: Form | tuple[Form, ...] = (),
    gru: Form | tuple[Form, ...] = (),
    rnn: Form | tuple[Form, ...] = (),
    *,
    holding: str = "apart",
    nesting: str = "",
    nonlinearity: str = "tanh",
    option: bool = False,
    file: str = "",
) -> Convention:
    """Make a row; a kind with one form needs no tuple."""
    forms = {
        kind: (found,) if isinstance(found, Form) else found
        for kind, found in (("LSTM", lstm), ("GRU", gru), ("RNN", rnn))
        if found
    }
    return Convention(name, title, forms, holding, nesting, nonlinearity, option, file)


def in_rows(gates: str, *more: str) -> Form:
    """Give the form of PyTorch's arrays, which others have, too."""
    return form(
        f"weight_ih = x[{gates}, I]",
        f"weight_hh = h[{gates}, S]",
        f"bias_ih? = b[{gates}]",
        f"bias_hh? = bh[{gates}]",
        *more,
    )
