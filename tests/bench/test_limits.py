"""The machine's limits by hand, the probes behind them, and the environment that holds the engines."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from lstmfast import _core
from lstmfast._base import cpu
from lstmfast._bench import environment, machine, probes
from lstmfast._bench.cases import CELLS, WORKS, Case
from lstmfast._bench.limits import Level, Limits, geometric_mean, intensity, least_seconds, pass_seconds

# Round numbers: 1 KB at 1000 GB/s, 10 KB in all at 100 GB/s, whatever is more at 10 GB/s.
LEVELS = (Level("L1d", 1e3, 1000.0), Level("L2", 1e4, 100.0), Level("memory", math.inf, 10.0))


def test_bytes_are_read_from_where_they_fit() -> None:
    assert pass_seconds(500, LEVELS) == pytest.approx(500 / 1e12)
    assert pass_seconds(1000, LEVELS) == pytest.approx(1000 / 1e12)
    assert pass_seconds(4000, LEVELS) == pytest.approx(1000 / 1e12 + 3000 / 1e11)
    assert pass_seconds(50_000, LEVELS) == pytest.approx(1000 / 1e12 + 9000 / 1e11 + 40_000 / 1e10)


def test_unknown_caches_claim_nothing() -> None:
    assert pass_seconds(1e9, ()) == 0
    case = Case(10, 1, 8, 8)
    assert least_seconds(case, Limits(2.0, ())) == pytest.approx(case.flops / 2e9)


def test_products_bind_where_the_batch_is_large() -> None:
    case = Case(10, 64, 8, 8)
    assert least_seconds(case, Limits(1.0, LEVELS)) == pytest.approx(case.flops / 1e9)


def test_recurrent_weights_bind_each_step_and_input_weights_once() -> None:
    """H=8, I=56: weight_hh has 1024 bytes, weight_ih 7168."""
    case = Case(10, 1, 56, 8)
    once = pass_seconds(8192, LEVELS) * 7168 / 8192
    assert least_seconds(case, Limits(1e9, LEVELS)) == pytest.approx(once + 10 * pass_seconds(1024, LEVELS))


def test_one_step_reads_all_weights_once() -> None:
    case = Case(1, 1, 56, 8, work="step")
    assert least_seconds(case, Limits(1e9, LEVELS)) == pytest.approx(pass_seconds(8192, LEVELS))


def test_layers_and_directions_add_up() -> None:
    """Layers whose weights stay in their cache between steps; what is read once has seen all others pass."""
    limits = Limits(1e9, (Level("all", math.inf, 100.0),))
    one = least_seconds(Case(10, 1, 8, 8), limits)
    assert least_seconds(Case(10, 1, 8, 8, layers=3), limits) == pytest.approx(3 * one)
    assert least_seconds(Case(10, 1, 8, 8, directions=2), limits) == pytest.approx(2 * one)


def test_each_layer_is_bound_by_its_own_larger_limit() -> None:
    """A first layer with a wide input is bound by products, a second with a narrow one by weights."""
    limits = Limits(10.0, (Level("all", math.inf, 5.0),))
    case = Case(100, 1, 64, 8, layers=2)
    products = [2 * 32 * (size + 8) * 100 / 10e9 for size in (64, 8)]
    weights = [(100 * 1024 + 128 * size) / 5e9 for size in (64, 8)]
    assert products[0] > weights[0]
    assert products[1] < weights[1]
    assert least_seconds(case, limits) == pytest.approx(products[0] + weights[1])


def test_training_multiplies_thrice_and_reads_twice() -> None:
    trained = Case(10, 64, 8, 8, work="train")
    assert least_seconds(trained, Limits(1.0, LEVELS)) == pytest.approx(trained.flops / 1e9)
    read = least_seconds(Case(10, 1, 8, 8), Limits(1e9, LEVELS))
    assert least_seconds(Case(10, 1, 8, 8, work="train"), Limits(1e9, LEVELS)) == pytest.approx(2 * read)


def test_an_rnn_multiplies_and_reads_a_quarter_and_a_gru_three() -> None:
    for limits in (Limits(1.0, ()), Limits(1e9, (Level("all", math.inf, 5.0),))):
        for work in WORKS:
            least = {cell: least_seconds(Case(7, 3, 56, 8, 2, 2, work, cell), limits) for cell in CELLS}
            assert least["lstm"] == pytest.approx(4 * least["rnn"])
            assert least["gru"] == pytest.approx(3 * least["rnn"])
    for cell in CELLS:
        assert intensity(Case(7, 3, 56, 8, cell=cell)) == pytest.approx(intensity(Case(7, 3, 56, 8)))


def test_lengths_save_products_and_no_reading() -> None:
    case, whole = Case(10, 64, 8, 8, valid=65), Case(10, 64, 8, 8)
    assert least_seconds(case, Limits(1.0, LEVELS)) == pytest.approx(0.65 * whole.flops / 1e9)
    assert least_seconds(case, Limits(1e9, LEVELS)) == pytest.approx(
        least_seconds(whole, Limits(1e9, LEVELS))
    )
    assert intensity(case) == pytest.approx(0.65 * intensity(whole))


def test_intensity() -> None:
    assert intensity(Case(1, 1, 8, 8)) == pytest.approx(0.5)
    assert intensity(Case(1, 16, 8, 8)) == pytest.approx(8.0)
    # Two products a weight and step; weight_hh is read at every one of four steps, weight_ih once.
    assert intensity(Case(4, 1, 8, 8)) == pytest.approx(0.5 * 4 * 2 / (4 + 1))


def test_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert math.isnan(geometric_mean([]))


# Probes ----------------------------------------------------------------------------------------------


@pytest.mark.alone
def test_probes_of_this_machine() -> None:
    limits = probes.measure("scalar", 1, seconds=0.002)
    assert limits.gflops > 0.1
    assert [level.name for level in limits.levels] == [
        *_core.caches(),
        *(["memory"] if limits.levels else []),
    ]
    assert all(level.gbps > 0.1 for level in limits.levels)


def test_threads_probe_at_once_and_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3)
    sizes = set()

    def peak(isa: str, dtype: str, seconds: float) -> float:
        together.wait(10)
        return 10.0

    def load(isa: str, nbytes: int, seconds: float) -> float:
        together.wait(10)
        sizes.add(nbytes)
        return 5.0

    monkeypatch.setattr(_core, "peak_gflops", peak)
    monkeypatch.setattr(_core, "load_gbps", load)
    limits = probes.measure("avx2", 3, {"L1d": 30_000, "L2": 300_000, "L3": 30_000_000}, 0.01)
    assert limits.gflops == 30.0
    assert limits.levels == (
        Level("L1d", 90_000, 15.0),  # each core's own
        Level("L2", 900_000, 15.0),
        Level("L3", 30_000_000, 15.0),  # everybody's
        Level("memory", math.inf, 15.0),
    )
    assert sizes == {15_000, 150_000, 5_000_000, 40_000_000}


def test_the_best_of_repeats_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr(_core, "peak_gflops", lambda *_: next(values))
    assert probes.measure("avx2", 1, {}) == Limits(3.0, ())


# The environment of the measuring process -----------------------------------------------------------


def test_threads_are_told_to_everyone() -> None:
    changes = environment.variables(3, None, {})
    for name in ("OMP", "MKL", "OPENBLAS", "LSTMFAST"):
        assert changes[f"{name}_NUM_THREADS"] == "3"
    assert changes["NPROC"] == "3"
    assert changes["XLA_FLAGS"] == ""
    assert "--xla_cpu_multi_thread_eigen=false" in environment.variables(1, None, {})["XLA_FLAGS"]


def test_nobody_is_held_unless_asked() -> None:
    changes = environment.variables(1, None, {})
    assert set(changes) & {"LSTMFAST_ISA", *environment.HELD["avx2"]} == {"XLA_FLAGS"}
    assert "max_isa" not in changes["XLA_FLAGS"]


def test_an_instruction_set_holds_everyone_who_can_be_held() -> None:
    changes = environment.variables(1, "avx2", {"XLA_FLAGS": "--mine"})
    assert changes["LSTMFAST_ISA"] == "avx2"
    assert changes["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert changes["ATEN_CPU_CAPABILITY"] == "avx2"
    assert changes["MKL_ENABLE_INSTRUCTIONS"] == "AVX2"
    assert changes["OPENBLAS_CORETYPE"] == "Haswell"
    assert changes["XLA_FLAGS"] == "--mine --xla_cpu_multi_thread_eigen=false --xla_cpu_max_isa=AVX2"
    assert all(name.startswith(("AVX512", "X86_V4")) for name in changes["NPY_DISABLE_CPU_FEATURES"].split())


def test_scalar_holds_nobody_else() -> None:
    assert environment.variables(1, "scalar", {})["LSTMFAST_ISA"] == "scalar"
    assert "ONEDNN_MAX_CPU_ISA" not in environment.variables(1, "scalar", {})


def test_what_is_recorded_of_the_environment() -> None:
    outer = {"PATH": "x", "SECRET": "y", "OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "1", "MKL_CBWR": ""}
    assert environment.relevant(outer) == {"GOMP_SPINCOUNT": "1", "OMP_NUM_THREADS": "2"}


# The machine -----------------------------------------------------------------------------------------


def test_the_machine_is_described() -> None:
    facts = machine.describe()
    assert facts["CPU"] == cpu.cpu_model()
    assert "scalar" in facts["ISAs"]
    assert all(facts.values())


def test_the_compiler_as_the_library_says_it(tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    library.write_bytes(b"\0\x7fGCC: (Debian 12.2.0-14) 12.2.0\0GCC: (Debian 12.2.0-14) 12.2.0\0")
    assert machine.compiler(library) == "GCC: (Debian 12.2.0-14) 12.2.0"
    library.write_bytes(b"\0Debian clang version 14.0.6\0")
    assert machine.compiler(library) == "Debian clang version 14.0.6"
    library.write_bytes(b"nothing")
    assert machine.compiler(library) == machine.compiler(tmp_path / "none") == "unknown"
