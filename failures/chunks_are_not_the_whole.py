"""A sequence in chunks, or step by step, that is not the sequence at once.

Where: engines that have one kernel for sequences and another for single steps, which sum in another order,
and code that carries h and forgets c.
What comes of it: a model that works on files and fails on the microphone.
Here: steps, chunks of any sizes by calls, by streams and by pools, and the whole at once have the same bits,
in every cell and with every kind of weights.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 40, 3, 5, 21


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    options = {"num_layers": 2, "seed": 0}
    plain = [
        kind(I, H, **options) for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN, lstmfast.LayerNormLSTM)
    ]
    plain.append(lstmfast.LSTM(I, H, peephole=True, coupled=True, clip=1.5, zoneout=0.1, **options))
    plain.append(lstmfast.LSTM(I, H, proj_size=7, **options))
    small = [plain[n].quantize(weights) for n in (0, 1, 2) for weights in ("float16", "bfloat16", "int8")]
    for layer in (*plain, *small):
        whole, end = layer(x)
        ends = end if isinstance(end, tuple) else (end,)
        for _ in range(4):
            cuts = np.sort(rng.integers(0, T + 1, 6))
            pieces = [x[begin:stop] for begin, stop in zip([0, *cuts], [*cuts, T], strict=True)]
            state, called = None, []
            for piece in pieces:
                y, state = layer(piece, state)
                called.append(y)
            stream, pool = layer.stream(B), layer.stream_pool(B)
            ids = [pool.open() for _ in range(B)]
            run = [stream.run(piece) for piece in pieces]
            stepped = np.stack([pool.step(ids, frame) for frame in x])
            results = {
                "calls": (np.concatenate(called), state),
                "a stream": (np.concatenate(run), stream.state),
                "a pool": (stepped, pool.state(ids)),
            }
            for what, (y, last) in results.items():
                lasts = last if isinstance(last, tuple) else (last,)
                if not np.array_equal(y, whole):
                    sys.exit(f"lstmfast: {layer!r}: pieces by {what} are not the whole")
                if not all(np.array_equal(one, other) for one, other in zip(lasts, ends, strict=True)):
                    sys.exit(
                        f"lstmfast: {layer!r}: the state after pieces by {what} is not that after the whole"
                    )
    print("lstmfast: steps and chunks have the bits of the whole")


if __name__ == "__main__":
    main()
