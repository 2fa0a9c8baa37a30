"""Interleaved rounds: whose turn it is, how long it lasts, and what becomes of those that fail."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lstmfast._bench import clock, timing
from lstmfast._bench.engines import Run


def nothing_fails(name: str, error: Exception) -> None:
    raise AssertionError(f"{name} failed") from error


class Machine:
    """A clock that goes on only when a call does something: calls take what they are said to take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.calls: dict[str, int] = {}
        self.slept = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: 2 * self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def run(self, name: str, seconds: float | Callable[[int], float]) -> Run:
        self.calls[name] = 0

        def call() -> None:
            self.calls[name] += 1
            self.now += seconds(self.calls[name]) if callable(seconds) else seconds

        return Run(call, lambda _: {})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_rounds_are_interleaved(machine: Machine) -> None:
    turns: list[tuple[int, str]] = []
    runs = {name: machine.run(name, 1e-3) for name in "ABC"}
    timing.measure(
        runs, 0.1, failed=nothing_fails, before_round=lambda name, number: turns.append((number, name))
    )
    assert turns == [(number, name) for number in range(timing.ROUNDS) for name in "ABC"]


def test_everyone_gets_about_the_same_time(machine: Machine) -> None:
    runs = {"fast": machine.run("fast", 1e-6), "slow": machine.run("slow", 5e-3)}
    timed = timing.measure(runs, 0.24, failed=nothing_fails)
    assert timed["fast"].calls == 20_000
    assert timed["slow"].calls == 4
    for name, one in (("fast", 1e-6), ("slow", 5e-3)):
        assert len(timed[name].seconds) == timing.ROUNDS
        assert timed[name].seconds == pytest.approx([one] * timing.ROUNDS)
        assert timed[name].wall_seconds == pytest.approx(0.24)


def test_who_takes_longer_than_a_round_sits_some_out(machine: Machine) -> None:
    turns: list[int] = []
    runs = {"long": machine.run("long", 0.05), "endless": machine.run("endless", 10.0)}
    timed = timing.measure(
        runs,
        0.3,
        failed=nothing_fails,
        before_round=lambda name, number: turns.append(number) if name == "long" else None,
    )
    assert len(timed["long"].seconds) in {5, 6}
    assert max(b - a for a, b in itertools.pairwise(turns)) <= 3
    assert len(timed["endless"].seconds) == timing.FEWEST_ROUNDS
    assert timed["endless"].calls == 1
    assert machine.calls["endless"] == 1 + timing.FEWEST_ROUNDS  # no call more than that


@pytest.mark.parametrize("count", range(1, 13))
def test_spread(count: int) -> None:
    chosen = [k for k, taken in enumerate(timing.spread(12, count)) if taken]
    assert len(chosen) == count
    gaps = [b - a for a, b in zip([-1, *chosen], chosen, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_the_first_call_of_a_round_is_not_timed(machine: Machine) -> None:
    """Every call after somebody else's turn is slow."""
    turn = ["A"]

    def cold(name: str) -> Callable[[int], float]:
        def seconds(_: int) -> float:
            before, turn[0] = turn[0], name
            return 1e-3 if before == name else 5e-3

        return seconds

    runs = {name: machine.run(name, cold(name)) for name in "AB"}
    timed = timing.measure(runs, 0.12, failed=nothing_fails)
    for name in "AB":
        assert timed[name].seconds == pytest.approx([1e-3] * timing.ROUNDS)


def test_a_disturbed_first_call_does_not_make_it_seem_slow(machine: Machine) -> None:
    runs = {"A": machine.run("A", lambda number: 0.01 if number in {1, 5} else 1e-4)}
    assert timing.measure(runs, 0.12, failed=nothing_fails)["A"].calls == 100


def test_cpu_time_is_kept(machine: Machine) -> None:
    timed = timing.measure({"A": machine.run("A", 1e-3)}, 0.1, failed=nothing_fails)["A"]
    assert timed.cpu_seconds == pytest.approx(2 * timed.wall_seconds)


def test_only_several_threads_need_a_rest(machine: Machine) -> None:
    runs = {"A": machine.run("A", 1e-3)}
    timing.measure(runs, 0.1, failed=nothing_fails)
    assert machine.slept == 0
    timing.measure(runs, 0.1, threads=2, failed=nothing_fails)
    assert machine.slept == pytest.approx((1 + timing.ROUNDS) * clock.PAUSE)


@pytest.mark.parametrize("spinning", [0.0, 0.025, 0.04, 60.0])
def test_a_rest_lasts_until_no_thread_spins(machine: Machine, spinning: float) -> None:
    def cpu_time() -> float:
        return min(machine.slept, spinning)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "process_time", cpu_time)
        timing.rest()
    longest = clock.MOST_PAUSES * clock.PAUSE
    assert min(spinning, longest) <= machine.slept <= min(spinning + 2 * clock.PAUSE, longest) + 1e-9


def test_one_that_fails_leaves_and_the_others_go_on(machine: Machine) -> None:
    def fails_at(number: int) -> Callable[[int], float]:
        def seconds(call: int) -> float:
            if call >= number:
                raise RuntimeError(f"call {call}")
            return 1e-3

        return seconds

    runs = {
        "at once": machine.run("at once", fails_at(1)),
        "good": machine.run("good", 1e-3),
        "late": machine.run("late", fails_at(50)),
    }
    failed: dict[str, str] = {}
    timed = timing.measure(runs, 0.1, failed=lambda name, error: failed.update({name: str(error)}))
    assert list(timed) == ["good"]
    assert len(timed["good"].seconds) == timing.ROUNDS
    assert failed == {"at once": "call 1", "late": "call 50"}


def test_the_context_is_entered_around_every_round(machine: Machine) -> None:
    depth = 0
    entered = 0

    @contextmanager
    def context() -> Iterator[None]:
        nonlocal depth, entered
        depth += 1
        entered += 1
        yield
        depth -= 1

    inside: set[int] = set()
    plain = machine.run("A", 1e-3)

    def call() -> None:
        plain.call()
        inside.add(depth)

    run = Run(call, plain.results, context)
    timing.measure({"A": run}, 0.1, failed=nothing_fails)
    assert inside == {1}
    assert entered == 1 + timing.ROUNDS


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_not_collected_meanwhile(enabled: bool, machine: Machine) -> None:
    seen: set[bool] = set()
    plain = machine.run("A", 1e-3)

    def call() -> None:
        plain.call()
        seen.add(gc.isenabled())

    run = Run(call, plain.results)
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        timing.measure({"A": run}, 0.1, failed=nothing_fails)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == {False}


@pytest.mark.alone
def test_real_time() -> None:
    timed = timing.measure({"A": Run(lambda: time.sleep(2e-3), lambda _: {})}, 0.06, failed=nothing_fails)[
        "A"
    ]
    assert all(2e-3 <= seconds < 1 for seconds in timed.seconds)
