"""First figures: lstmfast against the NumPy reference and PyTorch, one process, interleaved rounds.

    python benchmarks/first_look.py [--isa avx2] [--threads 1] [--rounds 5] [--quick]

Every result is compared with the reference before anything is timed. Each engine's best round counts.
PyTorch is held to the same instruction set by its own environment variables, and to the same threads.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

SHAPES = [  # T, B, I, H
    (100, 1, 32, 32),
    (100, 1, 64, 64),
    (100, 1, 128, 128),
    (100, 1, 256, 256),
    (50, 1, 512, 512),
    (100, 4, 64, 64),
    (100, 4, 256, 256),
    (100, 16, 64, 64),
    (100, 16, 256, 256),
    (50, 64, 64, 64),
    (25, 64, 256, 256),
    (10, 64, 512, 512),
    (100, 16, 3, 25),
    (100, 1, 8, 100),
]
TORCH_ISA = {  # what holds PyTorch's libraries to an instruction set
    "scalar": {},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {},
    "neon": {},
}


def best_times(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the best round of each, the rounds interleaved A B C A B C; a round is 20 ms or one call."""
    repeats = {}
    for name, call in contestants.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(0.02 / (time.perf_counter() - start)))
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, call in contestants.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / repeats[name])
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", default=None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="every third shape")
    options = parser.parse_args()

    # Read by NumPy's BLAS and by PyTorch when they are imported, so before.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)
    import numpy as np

    import lstmfast
    from lstmfast import _core

    isa = options.isa or lstmfast.isa()
    os.environ.update(TORCH_ISA[isa])
    try:
        import torch
    except ImportError:
        torch = None  # type: ignore[assignment]
    else:
        torch.set_num_threads(options.threads)
    lstmfast.set_num_threads(options.threads)

    peak = max(_core.peak_gflops(isa, "float32", 0.1) for _ in range(3)) * options.threads
    print(f"{platform.machine()}, {isa}, {options.threads} thread(s), FMA peak {peak:.0f} GFLOP/s")
    print(f"lstmfast {lstmfast.__version__}, NumPy {np.__version__}, PyTorch {torch.__version__ if torch else '-'}")
    print("GFLOP/s, part of the FMA peak, and how many times the other engine's time is ours")
    for kind in ("forward", "forward + backward"):
        print(f"\n{kind}\n   T   B   I   H     us/step  GFLOP/s  peak  x NumPy  x PyTorch")
        for T, B, I, H in SHAPES[:: 3 if options.quick else 1]:  # noqa: E741
            rng = np.random.default_rng(0)
            lstm = lstmfast.LSTM(I, H, seed=0, isa=isa)
            reference = lstmfast.reference.Reference("lstm", lstm.parameters, dtype="float32")
            x = rng.standard_normal((T, B, I)).astype(np.float32)
            dy = rng.standard_normal((T, B, H)).astype(np.float32)
            zeros = np.zeros((1, B, H), np.float32)

            def ours(lstm=lstm, x=x, dy=dy, back=kind != "forward"):
                if not back:
                    return lstm(x)[0], None
                y, _, tape = lstm.forward(x)
                return y, lstm.backward(tape, dy).x

            def numpy(reference=reference, x=x, dy=dy, zeros=zeros, back=kind != "forward"):
                y, _, cache = reference.forward(x, zeros, zeros)
                return y, reference.backward(cache, dy, zeros, zeros)[0] if back else None

            contestants: dict[str, Callable[[], tuple[np.ndarray, np.ndarray | None]]] = {"ours": ours, "NumPy": numpy}
            if torch:
                module = torch.nn.LSTM(I, H)
                module.load_state_dict({n: torch.tensor(a) for n, a in lstm.parameters.items()})
                tx, tdy = torch.tensor(x), torch.tensor(dy)

                def pytorch(module=module, tx=tx, tdy=tdy, back=kind != "forward"):
                    if not back:
                        with torch.inference_mode():
                            return module(tx)[0].numpy(), None
                    leaf = tx.detach().requires_grad_()
                    module.zero_grad()
                    y = module(leaf)[0]
                    y.backward(tdy)
                    return y.detach().numpy(), leaf.grad.numpy()

                contestants["PyTorch"] = pytorch

            truth = numpy()
            for name, call in contestants.items():
                for got, want in zip(call(), truth, strict=True):
                    if want is not None and not np.allclose(got, want, rtol=1e-3, atol=1e-4):
                        raise SystemExit(f"{name} is wrong at T={T} B={B} I={I} H={H}")
            best = best_times(contestants, options.rounds)
            flops = 2 * T * B * 4 * H * (I + H) * (1 if kind == "forward" else 3)
            ratio = f"{best['PyTorch'] / best['ours']:9.2f}" if torch else "        -"
            print(
                f"{T:4d} {B:3d} {I:3d} {H:3d} {best['ours'] / T * 1e6:11.2f} {flops / best['ours'] / 1e9:8.1f}"
                f" {flops / best['ours'] / 1e9 / peak:5.0%} {best['NumPy'] / best['ours']:8.1f}  {ratio}",
                flush=True,
            )


if __name__ == "__main__":
    main()
