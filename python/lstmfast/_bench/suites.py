"""The suites by name, and the quick selection of all of them that is measured when none is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, product

from .cases import CELLS, Case, Work
from .engines import (
    ASKED_FOR,
    BEHIND_TORCH,
    ENGINES,
    INSIDE,
    NO_SPINNING,
    OURS,
    QUANTIZED,
)

__all__ = ["ALL", "SUITES", "engines", "quick", "select"]

ALL = "all"


def _of(suite: str, cases: Iterable[Case], *works: Work) -> tuple[Case, ...]:
    """Put cases into a suite, all of them for one work (inference, if none is given) after the other."""
    return tuple(
        replace(case, suite=suite, work=work) for work, case in product(works or ("sequence",), cases)
    )


_TORCH = (
    Case(20, 1, 8, 8),
    *(Case(100, B, H, H) for H in (64, 256) for B in (1, 16)),
    Case(25, 16, 512, 512),
    Case(100, 16, 128, 128, layers=2, directions=2),
    Case(100, 16, 128, 128, cell="rnn"),
)
_TORCH_LENGTHS = (Case(100, 32, 64, 64, valid=65), Case(200, 16, 128, 128, valid=65))

_LENGTHS = (
    Case(100, 8, 256, 256, valid=65),
    Case(100, 32, 64, 64, valid=65),
    Case(100, 64, 40, 100, valid=65),
    Case(200, 16, 128, 128, valid=65),
)

SUITES: dict[str, tuple[Case, ...]] = {
    # A layer as textbooks and most programs have it.
    "classic": _of(
        "classic", [Case(100, B, H, H) for H, B in product((64, 128, 256, 512, 1024), (1, 4, 16, 64))]
    ),
    # One step at a time from Python. I=1, H=20 and 40 are amplifier models, 128 a voice activity detector.
    # Then one step of many streams that share a model, in any order.
    "step": (
        *_of(
            "step",
            [
                Case(1, 1, I, H)
                for I, H in (
                    (1, 20), (1, 40), (24, 24), (32, 32), (40, 40), (64, 64), (128, 128), (256, 256),
                    (512, 512), (1024, 1024),
                )
            ],
            "step",
        ),
        *_of("step", [Case(1, 64, 40, 40), Case(1, 64, 128, 128), Case(1, 512, 128, 128)], "pool"),
    ),
    # The sizes of Baidu's DeepBench (https://github.com/baidu-research/DeepBench): translation, language and
    # speech models.
    "deepbench": _of(
        "deepbench",
        [
            Case(T, B, H, H)
            for (H, T), B in product(
                ((256, 150), (512, 25), (1024, 25), (1536, 50), (2048, 25)), (1, 2, 4, 16, 32)
            )
        ],
    ),
    "deep": _of(
        "deep",
        [
            Case(100, B, H, H, layers, directions)
            for layers, directions, H, B in product((2, 3), (1, 2), (64, 256), (1, 16))
        ],
    ),
    # Sizes that no vector divides.
    "odd": _of(
        "odd",
        [
            Case(100, B, I, H)
            for (I, H), B in product(((1, 20), (3, 25), (13, 40), (8, 100), (40, 200), (40, 25)), (1, 4, 16))
        ],
    ),
    "train": _of(
        "train",
        [
            *(Case(100, B, H, H) for H, B in product((64, 128, 256, 512), (1, 16, 64))),
            Case(100, 16, 3, 25),
            Case(100, 16, 8, 100),
            Case(100, 16, 128, 128, layers=2),
            Case(100, 16, 128, 128, layers=2, directions=2),
            Case(100, 4, 64, 64, layers=2, directions=2),
            Case(100, 16, 256, 256, layers=3),
            # Sizes that no vector divides.
            *(Case(100, B, I, H) for B, I, H in ((4, 1, 20), (1, 13, 40), (16, 13, 40), (16, 40, 200))),
            *(Case(100, B, H, H, cell="rnn") for B, H in ((1, 128), (16, 128), (64, 256))),
        ],
        "train",
    ),
    # What a smaller tape costs, each beside the same with all of it. Other engines have no such thing: what
    # they are compared with is their plain training, so these rows are no race.
    "recompute": _of(
        "recompute",
        [
            Case(T, 16, H, H, recompute=recompute)
            for (T, H), recompute in product(((100, 64), (200, 128), (400, 256)), (False, True))
        ],
        "train",
    ),
    # Rows that end at different steps, as sentences do; the case at 100 % is what the padded rows of the
    # same size would cost.
    "lengths": _of(
        "lengths",
        [
            *_LENGTHS,
            *(Case(400, 32, 256, 256, valid=valid) for valid in (30, 65, 100)),
            Case(100, 16, 128, 128, layers=2, directions=2, valid=65),
        ],
        "sequence",
        "train",
    ),
    # Episodes that end within a rollout, as in reinforcement learning; each beside the same without a start,
    # which is what they would cost if rows were whole.
    "reset": _of(
        "reset",
        [
            Case(T, B, I, H, reset=reset)
            for (T, B, I, H), reset in product(
                ((128, 16, 64, 64), (128, 32, 256, 256), (80, 64, 32, 128)), (1, 0)
            )
        ],
        "sequence",
        "train",
    ),
    # A GRU as most programs have it, its single steps, and its training, also of rows that end at different
    # steps.
    "gru": (
        *_of(
            "gru",
            [Case(100, B, H, H, cell="gru") for H, B in product((24, 64, 128, 256, 512), (1, 4, 16, 64))],
        ),
        *_of("gru", [Case(1, 1, H, H, cell="gru") for H in (24, 32, 40, 64, 128)], "step"),
        *_of(
            "gru",
            [
                *(Case(100, B, H, H, cell="gru") for H, B in product((64, 128, 256, 512), (1, 16, 64))),
                Case(100, 16, 13, 40, cell="gru"),
                Case(100, 16, 128, 128, layers=2, directions=2, cell="gru"),
                *(replace(case, cell="gru") for case in _LENGTHS),
            ],
            "train",
        ),
    ),
    # Steps that are calls of their own, as a program makes them that decides in between: of an agent, a
    # decoder, a sampler.
    "cells": (
        *_of(
            "cells",
            [
                Case(1, B, H, H, cell=cell, stepwise=True)
                for cell in CELLS
                for H, B in ((24, 1), (32, 1), (40, 1), (64, 1), (128, 1), (64, 16), (128, 16))
            ],
            "step",
        ),
        *_of(
            "cells",
            [
                Case(50, B, H, H, cell=cell, stepwise=True)
                for cell, H, B in product(CELLS, (40, 64, 128), (1, 16))
            ],
            "train",
        ),
    ),
    # lstmfast behind PyTorch's modules, beside itself and PyTorch's own: what tensors, autograd and the look
    # at the weights cost, from the smallest call on.
    "torch": (
        *_of("torch", [Case(1, 1, H, H) for H in (8, 64, 256, 512)], "step"),
        *_of("torch", [*_TORCH, *_TORCH_LENGTHS], "sequence", "train"),
    ),
    # lstmfast with float16, bfloat16 and int8 weights, beside itself in float32 and beside what other engines
    # have in float32 and int8.
    "quantized": (
        *_of("quantized", [Case(100, B, H, H) for H, B in product((128, 256, 512, 1024), (1, 4, 16, 64))]),
        *_of("quantized", [Case(1, 1, H, H) for H in (64, 128, 256, 512, 1024)], "step"),
    ),
    # lstmfast as ONNX Runtime's provider beside ONNX Runtime's own operators: whole sessions, steps and
    # sequences as its users have them, and a decoder that was unrolled into nodes.
    "onnx": (
        *_of("onnx", [Case(1, 1, H, H) for H in (24, 32, 48, 64, 128)], "step"),
        *_of("onnx", [Case(1, 1, H, H, cell="gru") for H in (24, 64, 128)], "step"),
        *_of(
            "onnx",
            [
                *(Case(100, 1, H, H) for H in (64, 128, 256, 512)),
                *(Case(100, 1, H, H, cell="gru") for H in (64, 256)),
                Case(50, 16, 256, 256),
                Case(50, 16, 256, 256, cell="gru"),
                *(Case(50, B, 128, 128, 2, 2) for B in (1, 16)),
                Case(50, 16, 128, 128, 2, 2, cell="gru"),
            ],
        ),
        *_of("onnx", [Case(50, 1, 64, 64, cell=cell) for cell in ("lstm", "gru")], "chain"),
    ),
    # lstmfast inside Keras beside Keras alone, on each backend, as its own loops over batches call it.
    "keras": _of(
        "keras",
        [
            Case(100, 16, 64, 64),
            Case(100, 1, 64, 64),
            Case(100, 16, 64, 64, cell="gru"),
            Case(100, 16, 64, 64, cell="rnn"),
            Case(100, 16, 64, 64, valid=65),
            Case(50, 16, 128, 128, layers=2, directions=2),
        ],
        "predict",
        "fit",
    ),
}  # fmt: skip

# lstmfast inside JAX beside a scan of JAX's own, in what `train` has: forward, and with the gradients.
SUITES["jax"] = _of("jax", [case for case in SUITES["train"] if not case.recompute], "sequence", "train")

# Suites whose engines are not those of all others, which are everyone who need not be asked for.
_ENGINES: dict[str, frozenset[str]] = {
    "cells": frozenset({OURS, *BEHIND_TORCH, "PyTorch"}),
    "torch": frozenset(ENGINES) - ASKED_FOR | {*BEHIND_TORCH},
    "quantized": frozenset({
        OURS, *QUANTIZED, "PyTorch", "ONNX Runtime", "ONNX Runtime bound", "OpenVINO", "PyTorch int8",
        "ONNX Runtime int8",
    }),
    **{suite: frozenset({OURS, *pairs, *pairs.values()}) for suite, pairs in INSIDE.items()},
}  # fmt: skip

# Rows that tell most for their time, every suite among them but for those that measure our kin, which is
# asked for; those of large models are left out.
_QUICK: tuple[tuple[Case, ...], ...] = (
    _of("classic", [Case(100, 1, 64, 64), Case(100, 1, 256, 256), Case(100, 4, 128, 128),
                    Case(100, 16, 64, 64), Case(100, 16, 256, 256)]),
    _of("step", [Case(1, 1, 1, 40), Case(1, 1, 64, 64), Case(1, 1, 256, 256)], "step"),
    _of("deepbench", [Case(25, 1, 512, 512), Case(25, 16, 512, 512)]),
    _of("deep", [Case(100, 1, 64, 64, 2, 1), Case(100, 16, 64, 64, 2, 2)]),
    _of("odd", [Case(100, 1, 1, 20), Case(100, 16, 3, 25)]),
    _of("train", [Case(100, 1, 64, 64), Case(100, 16, 128, 128)], "train"),
    _of("recompute", [Case(100, 16, 64, 64, recompute=True)], "train"),
    _of("lengths", [Case(100, 32, 64, 64, valid=65)], "sequence", "train"),
    _of("reset", [Case(128, 16, 64, 64, reset=1)], "train"),
    _of("gru", [Case(100, 16, 64, 64, cell="gru")]),
    _of("gru", [Case(1, 1, 40, 40, cell="gru")], "step"),
    _of("gru", [Case(100, 16, 128, 128, cell="gru")], "train"),
)  # fmt: skip


def quick() -> tuple[Case, ...]:
    """Return some rows of every suite but cells, torch, quantized, onnx, keras and jax."""
    return tuple(chain.from_iterable(_QUICK))


def engines(cases: Iterable[Case], threads: int = 1) -> list[str]:
    """Return the engines that cases are measured with if none are named: those of all their suites.

    With one thread there is none that spins, nor one that does not.
    """
    everyone = frozenset(ENGINES) - ASKED_FOR
    chosen = {name for case in cases for name in _ENGINES.get(case.suite, everyone)}
    return [name for name in ENGINES if name in chosen and (threads > 1 or name not in NO_SPINNING)]


def select(names: Iterable[str]) -> tuple[Case, ...]:
    """Return the suites of these names whole, in their own order, each once.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    wanted = set(names)
    if unknown := sorted(wanted - {*SUITES, ALL}):
        raise ValueError(f"expected one of {', '.join([*SUITES, ALL])}, got {unknown[0]!r}")
    return tuple(case for name, cases in SUITES.items() if wanted & {name, ALL} for case in cases)
