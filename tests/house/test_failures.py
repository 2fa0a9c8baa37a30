"""The programs in failures/ end well, and each would not if lstmfast failed in its way."""

from __future__ import annotations

import gc
import re
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._base import sequences
from lstmfast._base.arguments import Arguments
from lstmfast._base.inference import Inference
from lstmfast._layers.recurrent import Recurrent
from lstmfast._streams.pool import StreamPool
from lstmfast._streams.stream import Stream

from ..core_helpers import run_module, run_python
from ..float_helpers import CAN_BE_SET
from ..helpers import ROOT

FAILURES = ROOT / "failures"
PROGRAMS = sorted(path.stem for path in FAILURES.glob("*.py"))
OF_ONNX = {"export_fixes_time", "ignored_attributes"}  # onnx/test_failures.py
OF_PYTORCH = [name for name in PROGRAMS if "def in_pytorch" in (FAILURES / f"{name}.py").read_text()]
# They measure time, memory or threads.
ALONE = {
    "allocation_in_real_time",
    "changing_shapes_leak",
    "locks_after_fork",
    "memory_grows_with_time",
    "packed_sequences_crawl",
    "short_lived_threads_leak",
}
# And these how much memory a process has: what one with a history gives back meanwhile would hide it.
OF_MEMORY = {"changing_shapes_leak", "memory_grows_with_time", "short_lived_threads_leak"}
OURS = [
    pytest.param(name, marks=pytest.mark.alone if name in ALONE else ())
    for name in PROGRAMS
    if name not in OF_ONNX
]
RUN = "import runpy, sys; runpy.run_path(sys.argv[1])[sys.argv[2]]()"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="some read /proc")
@pytest.mark.parametrize("name", OURS)
def test_ours(name: str) -> None:
    """What a program says of lstmfast; what it says of others is for who reads."""
    said = run_python(RUN, str(FAILURES / f"{name}.py"), "main")
    assert said.startswith("lstmfast"), said


@pytest.mark.alone
@pytest.mark.usefixtures("torch")
def test_ours_in_pytorch() -> None:
    """All in one process, of which PyTorch's import is the longest part."""
    run = "import runpy, sys\nfor path in sys.argv[1:]: runpy.run_path(path)['in_pytorch']()"
    said = run_python(run, *(str(FAILURES / f"{name}.py") for name in OF_PYTORCH)).splitlines()
    assert len(said) >= len(OF_PYTORCH) == 5
    assert [line for line in said if not line.startswith("lstmfast.torch")] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_heads_say_where_what_and_what_holds(name: str) -> None:
    head = (FAILURES / f"{name}.py").read_text(encoding="utf-8").split('"""')[1]
    for part in ("Where: ", "What comes of it: ", "Here: "):
        assert re.findall(rf"^{part}", head, re.M) == [part]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_stand_alone(name: str) -> None:
    """Each can be taken away by itself: it knows what is public of lstmfast, and no other program."""
    source = (FAILURES / f"{name}.py").read_text(encoding="utf-8")
    assert re.findall(r"lstmfast(?:\.\w+)*\._\w+", source) == []
    assert re.findall(rf"^\s*(?:from|import) (?:\.|{'|'.join(PROGRAMS)})", source, re.M) == []


def test_the_table_has_every_program() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\.py\) \|", (FAILURES / "README.md").read_text("utf-8"), re.M)
    assert listed == [(name, name) for name in PROGRAMS]


# What lstmfast would do if it failed as others did: each program has to see it.

Change = Callable[[pytest.MonkeyPatch], None]


def instead(owner: Any, name: str, changed: Callable[..., Any]) -> Change:
    """Put a function in a method's place, which is handed the method first."""

    def change(patch: pytest.MonkeyPatch) -> None:
        method = getattr(owner, name)
        patch.setattr(owner, name, lambda *args, **options: changed(method, *args, **options))

    return change


def with_y(changed: Callable[[Any, Any], Any]) -> Change:
    """A call's y is another, made of it and x."""

    def call(method: Any, self: Any, x: Any, *args: Any, **options: Any) -> Any:
        y, state = method(self, x, *args, **options)
        return changed(y, np.asarray(x)), state

    return instead(Inference, "__call__", call)


def without(*names: str) -> Change:
    """Calls and forward ignore arguments."""

    def ignoring(method: Any, *args: Any, **options: Any) -> Any:
        return method(*args, **{name: value for name, value in options.items() if name not in names})

    def change(patch: pytest.MonkeyPatch) -> None:
        instead(Inference, "__call__", ignoring)(patch)
        instead(Recurrent, "forward", ignoring)(patch)

    return change


KEPT: list[Any] = []


def keeping(make: Callable[[Any], Any]) -> Change:
    """Forward keeps something for ever."""

    def forward(method: Any, self: Any, x: Any, *args: Any, **options: Any) -> Any:
        KEPT.append(make(x))
        return method(self, x, *args, **options)

    return instead(Recurrent, "forward", forward)


def in_order_of_lengths(method: Any, *args: Any, lengths: Any = None, **options: Any) -> Any:
    y, state, tape = method(*args, lengths=lengths, **options)
    return y[:, np.argsort(-lengths, kind="stable")], state, tape


def losing_states(method: Any, self: Any, x: Any, *args: Any, lengths: Any = None, **options: Any) -> Any:
    y, state, tape = method(self, x, *args, lengths=lengths, **options)
    for half in state if isinstance(state, tuple) else (state,):
        half[:, np.flatnonzero(np.asarray(lengths if lengths is not None else [1]) == 0)] = 0
        if not np.shape(x)[0]:
            half[...] = 0
    return y, state, tape


def deaf(method: Any, *args: Any, **options: Any) -> Any:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        result = method(*args, **options)
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt
    return result


def four_times(method: Any, *args: Any, lengths: Any = None, **options: Any) -> Any:
    for _ in range(1 if lengths is None else 6):
        result = method(*args, lengths=lengths, **options)
    return result


def closing_one(method: Any, self: Any, ids: Any) -> None:
    for id in np.atleast_1d(ids):
        method(self, int(id))


def last_of_y(method: Any, *args: Any, **options: Any) -> Any:
    y, _, tape = method(*args, **options)
    return y, (y[-1:], y[-1:]), tape


def allocating(method: Any, *args: Any, **options: Any) -> Any:
    KEPT.append(np.ones(100))
    return method(*args, **options)


def dense(method: Any, self: Any, x: Any, *args: Any, **options: Any) -> Any:
    return method(self, np.asarray(x).ravel("K").reshape(np.shape(x)), *args, **options)


def another_seed(method: Any, *args: Any, seed: Any = None, **options: Any) -> Any:
    return method(*args, **options)


def taking_memory(method: Any, self: Any, x: Any, *args: Any, **options: Any) -> Any:
    gates = np.ones((*x.shape[:2], 4 * self.hidden_size), np.float32)
    return method(self, x + 0 * gates[:1, :1, :1], *args, **options)


def eps(y: Any) -> Any:
    return np.finfo(y.dtype).eps


def takes_floats(method: Any, lengths: Any, *more: Any) -> Any:
    return method(np.asarray(lengths).astype(np.int64), *more)


BROKEN: dict[str, Change] = {
    "activations_overflow": instead(
        Recurrent,
        "forward",
        lambda method, *args: (lambda y, *more: (np.where(y > 88, np.inf, y), *more))(*method(*args)),
    ),
    "allocation_in_real_time": instead(Stream, "step", allocating),
    "batch_changes_results": with_y(lambda y, x: y + x.shape[1] * eps(y)),
    "changing_shapes_leak": keeping(lambda x: np.ones(5000)),
    "chunks_are_not_the_whole": with_y(lambda y, x: y + (len(x) > 20) * eps(y)),
    "dropout_ignores_its_seed": instead(Recurrent, "forward", another_seed),
    "empty_batches": instead(Recurrent, "forward", losing_states),
    "episodes_run_together": without("reset"),
    "failed_calls_change_things": instead(StreamPool, "close", closing_one),
    "float64_in_float32": with_y(lambda y, x: y.astype(np.float32).astype(np.float64)),
    "flushed_denormals": with_y(lambda y, x: y * y.dtype.type(1)),
    "graphs_stay_alive": keeping(lambda x: x),
    "gru_resets_elsewhere": with_y(lambda y, x: y + 1e-9),
    "holes_in_masks": without("mask"),
    "lengths_are_cut": instead(sequences, "ends", takes_floats),
    "loud_neighbours": with_y(lambda y, x: y + np.abs(x).max() * 1e-9),
    "malformed_states": instead(Arguments, "_split", lambda method, *args: (None, None)),
    "memory_grows_with_time": instead(Inference, "__call__", taking_memory),
    "nan_in_padding": without("lengths"),
    "one_nan_spreads": with_y(lambda y, x: np.nan_to_num(y)),
    "packed_sequences_crawl": instead(Inference, "__call__", four_times),
    "results_share_memory": instead(Recurrent, "forward", last_of_y),
    "reverse_starts_in_padding": without("lengths"),
    "rows_change_places": instead(Recurrent, "forward", in_order_of_lengths),
    "short_lived_threads_leak": keeping(lambda x: np.ones(2000)),
    "signals_wait": instead(Inference, "__call__", deaf),
    "sizes_overflow": instead(lstmfast, "set_num_threads", lambda method, n: method(min(n, 1))),
    "stale_weights": instead(lstmfast.LSTM, "update", lambda method, *args: None),
    "states_go_to_other_rows": instead(StreamPool, "reset", lambda method, *args: None),
    "strides_are_ignored": instead(Inference, "__call__", dense),
    "threads_change_results": with_y(lambda y, x: y + lstmfast.get_num_threads() * eps(y)),
    "threads_mix_results": with_y(lambda y, x: y + (threading.active_count() > 3) * eps(y)),
    "zero_length_loses_state": instead(Recurrent, "forward", losing_states),
}


def test_every_program_has_something_to_see() -> None:
    assert set(BROKEN) == set(PROGRAMS) - OF_ONNX - {"locks_after_fork"}  # which forks


@pytest.fixture
def put_back(threads: None) -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.enable()
    KEPT.clear()


def said_when_broken(name: str, patch: pytest.MonkeyPatch) -> str:
    """What a program ends with when lstmfast fails in its way."""
    patch.setattr(sys, "argv", [name])
    main = runpy.run_path(str(Path(FAILURES, f"{name}.py")))["main"]
    BROKEN[name](patch)
    with pytest.raises(SystemExit) as ended:
        main()
    return str(ended.value.code)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="some read /proc")
@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("name", [one for one in OURS if one.values[0] in BROKEN])
def test_sees_what_it_is_about(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "flushed_denormals" and not CAN_BE_SET:
        pytest.skip("not known how to set the environment here")
    if name in OF_MEMORY:
        said = run_module("tests.house.test_failures", name).splitlines()[-1]
    else:
        with monkeypatch.context() as patch:
            said = said_when_broken(name, patch)
        capsys.readouterr()
    assert said.startswith("lstmfast: every" if name.endswith("_leak") else "lstmfast: ")


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as only:
        print(said_when_broken(sys.argv[1], only))
