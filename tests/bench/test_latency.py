"""Latencies of single calls: what part of them is done within what time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lstmfast._bench import latency, problem, timing, worker
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import OURS, Run, load


class Clock:
    """Goes on only when a call does something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.calls = 0
        monkeypatch.setattr(latency, "perf_counter_ns", lambda: self.now)

    def run(self, *nanoseconds: int) -> Run:
        """Calls that take these times, over and over."""

        def call() -> None:
            self.now += nanoseconds[self.calls % len(nanoseconds)]
            self.calls += 1

        return Run(call, lambda _: {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def nothing_fails(name: str, error: Exception) -> None:
    raise AssertionError(f"{name} failed") from error


def measure(run: Run, seconds: float) -> latency.Latency:
    return latency.measure({"A": run}, seconds, failed=nothing_fails)["A"]


def test_every_call_counts(clock: Clock) -> None:
    # Of 1000 calls 985 take 2 us, 12 take 5 us, 3 take 1 ms.
    times = [2_000] * 985 + [5_000] * 12 + [1_000_000] * 3
    found = measure(clock.run(*times), 60.0)
    assert found.calls == latency.CALLS == 100_000
    assert clock.calls == latency.CALLS + latency.ROUNDS * latency.WARM
    assert found.parts == (2e-6, 5e-6, 1e-3)


def test_time_is_kept(clock: Clock) -> None:
    found = measure(clock.run(1_000_000), 0.5)
    assert found.calls == 500
    assert found.parts == (1e-3, 1e-3, 1e-3)
    assert clock.calls <= 500 * 5 // 4 + latency.ROUNDS
    assert measure(clock.run(3_000_000_000), 0.5).calls == latency.ROUNDS


def test_calls_are_dealt_out_in_turns_each_after_a_rest(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def named(name: str) -> Run:
        def call() -> None:
            clock.now += 10**9
            if seen[-1] != name:
                seen.append(name)

        return Run(call, lambda _: {})

    runs = {name: named(name) for name in "AB"}
    monkeypatch.setattr(timing, "rest", lambda: seen.append("rest"))
    latency.measure(runs, 1.0, threads=2, failed=nothing_fails)
    assert seen == ["rest", "A", "rest", "B"] * latency.ROUNDS


def test_one_that_raises_is_left_out(clock: Clock) -> None:
    def fail() -> None:
        raise OSError("no more")

    failures: dict[str, str] = {}
    found = latency.measure(
        {"A": Run(fail, lambda _: {}), "B": clock.run(1_000)},
        1.0,
        failed=lambda name, error: failures.update({name: str(error)}),
    )
    assert list(found) == ["B"]
    assert failures == {"A": "no more"}


def test_the_context_is_entered_and_no_collection_disturbs(clock: Clock) -> None:
    seen = []

    @contextmanager
    def context() -> Iterator[None]:
        seen.append("in")
        yield
        seen.append("out")

    def call() -> None:
        clock.now += 10**9
        seen.append("collecting" if gc.isenabled() else "quiet")

    measure(Run(call, lambda _: {}, context), 1.0)
    assert seen[0] == "in"
    assert seen[-1] == "out"
    assert seen.count("in") == seen.count("out") == latency.ROUNDS
    assert set(seen) == {"in", "out", "quiet"}
    assert gc.isenabled()


def rows_of(engines: dict[str, str], latency_seconds: float) -> list[dict[str, object]]:
    cases = [Case(1, 1, 2, 3, work="step"), Case(4, 1, 2, 3)]
    asked = worker.Request(
        cases, engines, 1, None, 0.002, probe_seconds=0.001, latency_seconds=latency_seconds
    )
    events = worker.measure(worker.Request.from_json(asked.to_json()))
    return [event["cells"] for event in events if event["event"] == "row"]


def test_only_steps_are_timed_one_by_one_and_only_when_asked() -> None:
    engines = {OURS: "lstmfast._bench.engines.ours:Ours", "good": "tests.bench.fakes:Good"}
    for wanted in (0.0, 0.01):
        step, sequence = rows_of(engines, wanted)
        for name in engines:
            assert ("latency" in step[name]) == (wanted > 0)  # type: ignore[operator]
            assert "latency" not in sequence[name]  # type: ignore[operator]


def test_one_that_fails_then_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_round(*_: object) -> object:
        raise OSError("no more")

    monkeypatch.setattr(latency, "_round", no_round)
    step, _ = rows_of({"good": "tests.bench.fakes:Good"}, 0.01)
    assert step["good"] == {"status": "failed", "note": "OSError: no more"}


def test_a_pool_comes_in_other_orders() -> None:
    task = problem.make(Case(1, 6, 2, 3, work="pool"))
    assert task.orders is not None
    assert task.orders.shape == (problem.ORDERS, 6)
    assert [sorted(order) for order in task.orders.tolist()] == [list(range(6))] * problem.ORDERS
    assert len({tuple(order) for order in task.orders.tolist()}) > 1
    assert problem.make(Case(1, 6, 2, 3, work="step")).orders is None
    run = load("lstmfast._bench.engines.ours:Ours", 1, None).prepare(task)
    for _ in range(problem.STEPS):
        returned = run.call()
    assert problem.difference(run.results(returned), task.truth) < 1e-6
