"""Arrays that are not dense, read as if they were.

Where: cuDNN under PyTorch's first versions, with an output's gradient that was not contiguous: gradients were
wrong, and nothing was said (https://github.com/pytorch/pytorch/pull/620); MKL-DNN's convolutions likewise
(https://github.com/pytorch/pytorch/issues/16018).
What comes of it: a bidirectional model that did not learn, on one device alone.
Here: arrays of any strides are taken, transposed, reversed, sliced, broadcast, unaligned, of the other byte
order or read-only, as x, state, dy or weights, and give the bits that dense ones give.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

import lstmfast

Array = np.ndarray

T, B, I, H = 7, 5, 6, 9


def unaligned(array: Array) -> Array:
    view = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


FORMS: dict[str, Callable[[Array], Array]] = {
    "Fortran-ordered": np.asfortranarray,
    "reversed twice": lambda array: np.ascontiguousarray(np.flip(array))[
        (slice(None, None, -1),) * array.ndim
    ],
    "every other number": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "every third step": lambda array: np.repeat(array, 3, axis=0)[::3],
    "transposed": lambda array: np.ascontiguousarray(array.T).T,
    "unaligned": unaligned,
    "of the other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "of float64": lambda array: array.astype(np.float64),
    "read-only": read_only,
}


def main() -> None:
    rng = np.random.default_rng(0)
    layer = lstmfast.LSTM(I, H, num_layers=2, bidirectional=True, seed=0)
    x, dy = (rng.standard_normal((T, B, n)).astype(np.float32) for n in (I, 2 * H))
    h, c = rng.standard_normal((2, 4, B, H)).astype(np.float32)

    def results(form: Callable[[Array], Array]) -> dict[str, bytes]:
        other = lstmfast.LSTM(I, H, num_layers=2, bidirectional=True)
        other.load_state_dict({name: form(array) for name, array in layer.parameters.items()})
        called, _ = other(form(x), (form(h), form(c)))
        y, (h_n, c_n), tape = other.forward(form(x), (form(h), form(c)))
        grads = other.backward(tape, form(dy), (form(h), form(c)))
        stream = lstmfast.LSTM(I, H, seed=0).stream(B)
        stepped = np.stack([stream.step(frame) for frame in form(x)])
        found = {"a call's y": called, "y": y, "h_n": h_n, "c_n": c_n, "dx": grads.x, "a stream's y": stepped}
        found |= {"the stream's h": stream.state[0], "dh_0": grads.state[0], **grads.parameters}
        return {name: array.tobytes() for name, array in found.items()}

    expected = results(lambda array: array)
    for what, form in FORMS.items():
        for name, found in results(form).items():
            if found != expected[name]:
                sys.exit(f"lstmfast: {name} is other where the arrays are {what}")
    whole, _ = layer(np.broadcast_to(x[:, :1], x.shape))
    dense, _ = layer(np.ascontiguousarray(np.broadcast_to(x[:, :1], x.shape)))
    if whole.tobytes() != dense.tobytes():
        sys.exit("lstmfast: y is other where x is broadcast")
    print(f"lstmfast: the same bits with arrays that are {', '.join(FORMS)}, or broadcast")


if __name__ == "__main__":
    main()
