"""What the programs beside this one share: the same work done two ways, compared, timed in turns, as a row.

A program hands `row` two functions without arguments, which do the same work before and after lstmfast came
into the model. Rows have the columns of the table in README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    "model",
    "a unit of work",
    "threads",
    "before",
    "after",
    "times",
    "recurrent",
    "largest difference",
)
Work = Callable[
    [], Any
]  # gives what it computed: arrays, tensors, numbers, texts, or lists and dicts of these


def options(about: str | None, threads: int | None = None) -> argparse.Namespace:
    """Read the command line and set the threads, those of PyTorch as well where a program has imported it.

    `threads` is for a program whose package has decided how many there are.
    """
    parser = argparse.ArgumentParser(description=(about or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, default=1, help="of both sides, default: %(default)s")
    parser.add_argument("--rounds", type=int, default=9, help="of each side, in turns, default: %(default)s")
    chosen = parser.parse_args()
    chosen.threads = threads or chosen.threads
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(chosen.threads)
    import lstmfast

    lstmfast.set_num_threads(chosen.threads)
    return chosen


def largest_difference(before: Any, after: Any) -> float:
    """Find by how much two results differ, number by number.

    It is infinity where one is not finite, or of another form, or a text is another.
    """
    if isinstance(before, Mapping):
        if before.keys() != after.keys():
            return float("inf")
        before, after = list(before.values()), [after[key] for key in before]
    if isinstance(before, (list, tuple)):
        if not isinstance(after, (list, tuple)) or len(before) != len(after):
            return float("inf")
        return max((largest_difference(*pair) for pair in zip(before, after, strict=True)), default=0.0)
    if isinstance(before, str):
        return 0.0 if before == after else float("inf")
    a, b = (np.asarray(value.detach() if hasattr(value, "detach") else value) for value in (before, after))
    if (
        a.shape != b.shape
        or a.dtype.kind not in "biufc"
        or not (np.isfinite(a).all() and np.isfinite(b).all())
    ):
        return float("inf")
    return float(np.abs(a.astype(np.complex128) - b).max(initial=0.0))


@contextlib.contextmanager
def outputs_of(module: Any) -> Iterator[list[Any]]:
    """Collect what a PyTorch module within a model gives, call by call."""
    found: list[Any] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    yield found
    hook.remove()


def seconds_in_turns(works: Sequence[Work], rounds: int) -> list[float]:
    """Take the median seconds of each; in turns, so that what else the machine does hits them alike."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, seconds in zip(works, found, strict=True):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in found]


def recurrent_share(model: Any, work: Callable[[Any], Any]) -> float:
    """Find the part of the time of `work(model)` that PyTorch's recurrent modules in it take, by hooks."""
    import torch

    kinds = (torch.nn.RNNBase, torch.nn.RNNCellBase)
    within, begun = 0.0, 0.0
    work(model)  # whatever is loaded, compiled or kept at the first call

    def begin(*_: object) -> None:
        nonlocal begun
        begun = time.perf_counter()

    def end(*_: object) -> None:
        nonlocal within
        within += time.perf_counter() - begun

    layers = [module for module in model.modules() if isinstance(module, kinds)]
    hooks = [layer.register_forward_pre_hook(begin) for layer in layers]
    hooks += [layer.register_forward_hook(end) for layer in layers]
    start = time.perf_counter()
    work(model)
    whole = time.perf_counter() - start
    for hook in hooks:
        hook.remove()
    return within / whole


def profiled_share(session: Any, work: Work) -> float:
    """Find the same of an ONNX Runtime session made with `enable_profiling`; that profile is then ended."""
    start = time.perf_counter()
    work()
    whole = time.perf_counter() - start
    profile = Path(session.end_profiling())
    events = json.loads(profile.read_text(encoding="utf-8"))
    profile.unlink()
    return recurrent_seconds(events) / whole


def recurrent_seconds(events: Iterable[Mapping[str, Any]]) -> float:
    """Sum what the recurrent nodes of a profile of ONNX Runtime took."""
    nodes = [
        event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    ]
    return sum(node["dur"] for node in nodes if node["args"]["op_name"] in {"LSTM", "GRU", "RNN"}) / 1e6


def time_said(seconds: float) -> str:
    """Say a time with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def import_torchvision() -> None:
    """Import it although its operators may be for CUDA, as those of PyPI are, and PyTorch may be without.

    Its import would then fail, as two of them are not declared; they are here, and nobody here calls them.
    """
    import torch

    try:
        import torchvision
    except RuntimeError:
        for name in ("nms", "qnms"):
            declared = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", declared)
        import torchvision  # noqa: F401


def row(
    model: str,
    unit: str,
    before: Work,
    after: Work,
    chosen: argparse.Namespace,
    *,
    tolerance: float,
    share: float | None = None,
) -> None:
    """Compare what both sides compute, time them and print the row; or end the program.

    `share` is the recurrent part of the time before, from 0 to 1, where a program has found it.
    """
    difference = largest_difference(before(), after())  # their first calls, which are not timed
    if not difference <= tolerance:
        sys.exit(f"{model}: results differ by {difference:.1e}, which is more than {tolerance:.0e}")
    was, now = seconds_in_turns([before, after], chosen.rounds)
    part = "" if share is None else f"{share:.0%}"
    times = f"{was / now:.2f}"
    cells = (model, unit, chosen.threads, time_said(was), time_said(now), times, part, f"{difference:.0e}")
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
