"""PyTorch's results under the names that the other tests use. PyTorch is imported when it is asked for."""

from __future__ import annotations

import warnings
from typing import Any

import lstmfast

from .core_helpers import Model
from .helpers import Array, parts

# Of `assert_close`, for ours and PyTorch's: forward, gradients, and what gradients are relative to at least.
# Both round, so float32's are wide; how exact each is for itself is compared in
# layers/numbers/test_reference_parity.py.
BOUNDS = {"float64": (1e-12, 1e-10, 0.0), "float32": (3e-6, 2e-5, 1.0)}


def torch_model(model: Model) -> Any:
    """PyTorch's module of the same configuration and dtype with the same weights."""
    import torch

    options: dict[str, Any] = {
        "num_layers": model.num_layers,
        "bias": model.bias,
        "batch_first": model.batch_first,
        "bidirectional": model.bidirectional,
        "dtype": getattr(torch, model.dtype.name),
    }
    if isinstance(model, lstmfast.RNN):
        options["nonlinearity"] = model.nonlinearity
    if isinstance(model, lstmfast.LSTM):
        options["proj_size"] = model.proj_size
    theirs = getattr(torch.nn, type(model).__name__)(model.input_size, model.hidden_size, **options)
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in model.state_dict().items()})
    return theirs


def from_torch(
    model: Model,
    x: Array,
    state: Any = None,
    dy: Array | None = None,
    dstate: Any = None,
    *,
    lengths: Any = None,
) -> dict[str, Array]:
    """What `core_helpers.from_reference` gives, computed by PyTorch in the model's own dtype.

    Without a state the initial state's gradients are those of zeros. Lengths, [B] integers >= 1 (PyTorch
    packs no row of length 0), make it run on a PackedSequence.
    """
    import torch

    torch.set_num_threads(1)  # its threads and ours would wait for one another on a small machine
    theirs = torch_model(model)
    tx = torch.from_numpy(x.copy()).requires_grad_()
    if state is None:
        depth = model.num_layers * (2 if model.bidirectional else 1)
        batch = 0 if model.batch_first else 1
        rows = (x.shape[batch],) if x.ndim == 3 else ()
        sizes = [model.proj_size or model.hidden_size, model.hidden_size]
        zeros = [torch.zeros((depth, *rows, size), dtype=tx.dtype, requires_grad=True) for size in sizes]
        states = zeros if isinstance(model, lstmfast.LSTM) else zeros[:1]
    else:
        states = [torch.from_numpy(array.copy()).requires_grad_() for array in parts(state)]
    initial = tuple(states) if len(states) == 2 else states[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        if lengths is None:
            y, end = theirs(tx, initial)
        else:
            layout = {"batch_first": model.batch_first}
            packed = torch.nn.utils.rnn.pack_padded_sequence(
                tx, torch.as_tensor(lengths), enforce_sorted=False, **layout
            )
            packed_y, end = theirs(packed, initial)
            steps = x.shape[1 if model.batch_first else 0]
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_y, total_length=steps, **layout)
    ends = list(end) if isinstance(end, tuple) else [end]
    outputs, gradients = [], []
    for output, gradient in zip([y, *ends], [dy, *(parts(dstate) if dstate is not None else [])]):  # noqa: B905
        if gradient is not None:
            outputs.append(output)
            gradients.append(torch.from_numpy(gradient.copy()))
    torch.autograd.backward(outputs, gradients)
    named = {"y": y, **{f"state {n}": array for n, array in enumerate(ends)}}
    results = {name: tensor.detach().numpy() for name, tensor in named.items()}
    results["dx"] = tx.grad.numpy()
    results |= {f"dstate {n}": tensor.grad.numpy() for n, tensor in enumerate(states)}
    return results | {f"d {name}": parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
