"""What `lstmfast bench` measures: suites by name, shapes of one's own, and the work in a case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lstmfast import _cli
from lstmfast._bench import shapes, suites
from lstmfast._bench.cases import WORKS, Case
from lstmfast._bench.engines import IN_KERAS, IN_ONNX_RUNTIME, NO_SPINNING, OURS


def sizes(name: str) -> list[tuple[int, int, int, int]]:
    return [(case.T, case.B, case.I, case.H) for case in suites.SUITES[name]]


# Suites ----------------------------------------------------------------------------------------------


def test_classic_is_every_size_with_every_batch() -> None:
    assert sizes("classic") == [(100, B, H, H) for H in (64, 128, 256, 512, 1024) for B in (1, 4, 16, 64)]


def test_steps_are_single_and_carry_their_state() -> None:
    cases = suites.SUITES["step"]
    steps = [case for case in cases if case.work == "step"]
    assert {(case.T, case.B) for case in steps} == {(1, 1)}
    assert {case.H for case in steps} >= {24, 40, 64, 128, 256, 512}
    pools = [case for case in cases if case.work == "pool"]
    assert set(steps) | set(pools) == set(cases)
    assert {(case.T, case.B, case.I, case.H) for case in pools} >= {(1, 64, 128, 128)}
    assert all(case.goes_on for case in cases)
    assert not any(case.goes_on for case in suites.SUITES["classic"] + suites.SUITES["train"])


def test_deepbench_has_its_lengths() -> None:
    found = {(case.H, case.T, case.B) for case in suites.SUITES["deepbench"]}
    lengths = {256: 150, 512: 25, 1024: 25, 1536: 50, 2048: 25}
    assert found == {(H, T, B) for H, T in lengths.items() for B in (1, 2, 4, 16, 32)}


def test_deep_has_two_and_three_layers_one_way_and_both() -> None:
    cases = suites.SUITES["deep"]
    assert {(case.layers, case.directions) for case in cases} == {(2, 1), (2, 2), (3, 1), (3, 2)}


def test_odd_sizes_fit_no_vector() -> None:
    cases = suites.SUITES["odd"]
    assert {case.H for case in cases} == {20, 25, 40, 100, 200}
    assert (min(case.I for case in cases), max(case.I for case in cases)) == (1, 40)
    assert all(case.H % 16 for case in cases)


def test_train_trains_what_people_train() -> None:
    cases = suites.SUITES["train"]
    assert {case.work for case in cases} == {"train"}
    assert {(case.layers, case.directions) for case in cases} == {(1, 1), (2, 1), (2, 2), (3, 1)}
    assert [(case.B, case.H) for case in cases if case.cell == "rnn"] == [(1, 128), (16, 128), (64, 256)]
    assert {(case.I, case.H) for case in cases} >= {(1, 20), (3, 25), (8, 100), (13, 40), (40, 200)}
    assert 15 <= len(cases) <= 30


def test_lengths_are_inference_and_training_of_the_same() -> None:
    cases = suites.SUITES["lengths"]
    half = len(cases) // 2
    assert {case.work for case in cases[:half]} == {"sequence"}
    assert [replace(case, work="train") for case in cases[:half]] == list(cases[half:])
    large = [case.valid for case in cases[:half] if case.T == 400]
    assert large == [30, 65, 100]  # the last is what the others would cost padded
    assert {case.valid for case in cases if case.T < 400} == {65}


def test_recompute_has_each_row_beside_the_same_with_gates() -> None:
    cases = suites.SUITES["recompute"]
    recomputed = [case for case in cases if case.recompute]
    assert [(case.T, case.B, case.I, case.H) for case in recomputed] == [
        (100, 16, 64, 64),
        (200, 16, 128, 128),
        (400, 16, 256, 256),
    ]
    assert {replace(case, recompute=False) for case in recomputed} == set(cases) - set(recomputed)


def test_reset_is_inference_and_training_with_and_without() -> None:
    cases = suites.SUITES["reset"]
    half = len(cases) // 2
    assert {case.work for case in cases[:half]} == {"sequence"}
    assert [replace(case, work="train") for case in cases[:half]] == list(cases[half:])
    assert [replace(case, reset=0) for case in cases[::2]] == list(cases[1::2])
    assert {case.reset for case in cases[::2]} == {1}
    found = [(case.T, case.B, case.I, case.H) for case in cases[:half:2]]
    assert found == [(128, 16, 64, 64), (128, 32, 256, 256), (80, 64, 32, 128)]


def test_gru_is_inference_steps_training_and_lengths() -> None:
    cases = suites.SUITES["gru"]
    assert {case.cell for case in cases} == {"gru"}
    sequences = [case for case in cases if case.work == "sequence"]
    assert {(case.H, case.B) for case in sequences} == {
        (H, B) for H in (24, 64, 128, 256, 512) for B in (1, 4, 16, 64)
    }
    assert [case.H for case in cases if case.work == "step"] == [24, 32, 40, 64, 128]
    trained = [case for case in cases if case.work == "train"]
    assert {case.H for case in trained if case.valid == 100} == {40, 64, 128, 256, 512}
    cut = [replace(case, cell="lstm", suite="lengths") for case in trained if case.valid < 100]
    assert len(cut) == 4
    assert set(cut) < set(suites.SUITES["lengths"])


def test_cells_are_steps_and_training_of_every_kind() -> None:
    cases = suites.SUITES["cells"]
    assert all(case.stepwise and case.layers == case.directions == 1 for case in cases)
    by_cell = {
        cell: [replace(case, cell="lstm") for case in cases if case.cell == cell]
        for cell in ("lstm", "rnn", "gru")
    }
    assert by_cell["lstm"] == by_cell["rnn"] == by_cell["gru"]
    assert {(case.work, case.T) for case in cases} == {("step", 1), ("train", 50)}
    assert {case.H for case in cases if case.work == "step"} == {24, 32, 40, 64, 128}


@pytest.mark.parametrize("name", suites.SUITES)
def test_every_row_of_a_case_has_a_step(name: str) -> None:
    for case in suites.SUITES[name]:
        assert case.T + case.B - 1 <= case.steps <= case.T * case.B


@pytest.mark.parametrize("name", suites.SUITES)
def test_a_suite_knows_its_name_and_repeats_nothing(name: str) -> None:
    cases = suites.SUITES[name]
    assert {case.suite for case in cases} == {name}
    assert len(set(cases)) == len(cases) > 5


def test_all_is_every_suite() -> None:
    assert suites.select(["all"]) == tuple(case for cases in suites.SUITES.values() for case in cases)


def test_suites_come_in_their_own_order_and_once() -> None:
    assert suites.select(["odd", "step", "odd"]) == suites.SUITES["step"] + suites.SUITES["odd"]
    assert suites.select(["step", "all"]) == suites.select(["all"])


def test_quantized_is_sequences_of_large_layers_and_single_steps() -> None:
    cases = suites.SUITES["quantized"]
    sequences = [case for case in cases if case.work == "sequence"]
    assert [(case.T, case.B, case.I, case.H) for case in sequences] == [
        (100, B, H, H) for H in (128, 256, 512, 1024) for B in (1, 4, 16, 64)
    ]
    steps = [case for case in cases if case.work == "step"]
    assert [(case.T, case.B, case.I, case.H) for case in steps] == [
        (1, 1, H, H) for H in (64, 128, 256, 512, 1024)
    ]
    assert (*sequences, *steps) == cases


def test_onnx_is_steps_sequences_and_chains() -> None:
    cases = suites.SUITES["onnx"]
    lstm = [case for case in cases if case.cell == "lstm"]
    assert [case.H for case in lstm if case.work == "step"] == [24, 32, 48, 64, 128]
    assert [case.H for case in lstm if (case.T, case.B) == (100, 1)] == [64, 128, 256, 512]
    assert [(case.T, case.B, case.H) for case in lstm if case.B > 1] == [(50, 16, 256), (50, 16, 128)]
    assert [(case.T, case.B, case.H) for case in lstm if case.directions == case.layers == 2] == [
        (50, 1, 128),
        (50, 16, 128),
    ]
    assert [(case.T, case.B, case.I, case.H) for case in lstm if case.work == "chain"] == [(50, 1, 64, 64)]
    for work in ("step", "sequence", "chain"):
        grus = {replace(case, cell="lstm") for case in cases if case.cell == "gru" and case.work == work}
        assert grus
        assert grus < {*lstm} or work == "chain"


def test_keras_is_what_its_own_loops_call() -> None:
    cases = suites.SUITES["keras"]
    assert {case.work for case in cases} == {"predict", "fit"}
    shapes = {work: [replace(case, work="fit") for case in cases if case.work == work] for work in WORKS}
    assert shapes["predict"] == shapes["fit"]
    assert Case(100, 16, 64, 64, work="fit", suite="keras") in cases
    assert {case.cell for case in cases} == {"lstm", "gru", "rnn"}
    assert {case.valid for case in cases} == {65, 100}
    engines = suites.engines(cases)
    assert engines == [OURS, *(name for pair in IN_KERAS.items() for name in pair[::-1])]


def test_jax_is_what_train_has_without_and_with_gradients() -> None:
    cases = suites.SUITES["jax"]
    for work in ("sequence", "train"):
        shapes = [replace(case, suite="train", work="train") for case in cases if case.work == work]
        assert shapes == [*suites.SUITES["train"]]
    assert suites.engines(cases) == [OURS, "JAX", "lstmfast in JAX"]


def test_engines_that_do_not_spin_come_with_more_threads_than_one() -> None:
    for cases in (suites.SUITES["onnx"], suites.select(["all"])):
        one, two = (set(suites.engines(cases, threads)) for threads in (1, 2))
        assert two - one == NO_SPINNING
        assert one >= {OURS, "lstmfast in ONNX Runtime", "ONNX Runtime bound"}
    assert set(suites.engines(suites.SUITES["onnx"])) == {*next(iter(IN_ONNX_RUNTIME.items())), OURS}
    assert not NO_SPINNING & set(suites.engines(suites.SUITES["classic"], 2))


def test_quick_is_a_part_of_every_suite() -> None:
    quick = suites.quick()
    assert set(quick) < set(suites.select(["all"]))
    assert [case.suite for case in quick] == sorted(
        (case.suite for case in quick), key=list(suites.SUITES).index
    )
    # Their engines are asked for.
    asked_for = {"cells", "torch", "quantized", "onnx", "keras", "jax"}
    assert {case.suite for case in quick} == set(suites.SUITES) - asked_for
    assert 12 <= len(quick) <= 24


def test_an_unknown_suite_is_told_what_there_is() -> None:
    with pytest.raises(
        ValueError,
        match=r"^expected one of classic, .*, quantized, onnx, keras, jax, all, got 'clasic'$",
    ):
        suites.select(["step", "clasic"])


def test_help_names_every_suite(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _cli.main(["bench", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert f"whole: {', '.join(suites.SUITES)} or all" in out
    assert shapes.FORM in out.replace("; ", ";").replace(" ", "") or shapes.FORM in out


# Shapes ----------------------------------------------------------------------------------------------


def test_one_shape() -> None:
    assert shapes.parse("T=100,B=2,I=3,H=64") == (Case(100, 2, 3, 64),)


def test_every_part_in_any_order_with_spaces() -> None:
    (case,) = shapes.parse(" directions=2, H=5 ,I=4, B = 3,T=2,layers=6 , train=1")
    assert case == Case(2, 3, 4, 5, 6, 2, "train")


def test_several_shapes() -> None:
    assert shapes.parse("T=2,B=1,I=1,H=1; T=3,B=1,I=1,H=1;") == (Case(2, 1, 1, 1), Case(3, 1, 1, 1))


def test_a_cell_and_lengths() -> None:
    assert shapes.parse("T=9,B=4,I=2,H=3,cell=rnn") == (Case(9, 4, 2, 3, cell="rnn"),)
    assert shapes.parse("cell=lstm,T=9,B=4,I=2,H=3") == (Case(9, 4, 2, 3),)
    assert shapes.parse("valid=65,T=9,B=4,I=2,H=3,train=1") == (Case(9, 4, 2, 3, work="train", valid=65),)
    assert shapes.parse("T=9,B=1,I=2,H=3,valid=100") == (Case(9, 1, 2, 3),)
    # 12 of 36 steps: one row of 9 and three of 1
    assert shapes.parse("T=9,B=4,I=2,H=3,valid=33")[0].steps == 12


def test_starts_and_recomputing() -> None:
    assert shapes.parse("T=9,B=4,I=2,H=3,reset=5") == (Case(9, 4, 2, 3, reset=5),)
    assert shapes.parse("T=9,B=4,I=2,H=3,reset=0,recompute=0") == (Case(9, 4, 2, 3),)
    assert shapes.parse("reset=100,T=2,B=1,I=2,H=3,train=1") == (Case(2, 1, 2, 3, work="train", reset=100),)
    (case,) = shapes.parse("T=1,B=4,I=2,H=3,recompute=1,train=1")
    assert case == Case(1, 4, 2, 3, work="train", recompute=True)
    assert case.recompute is True
    assert shapes.parse("T=1,B=4,I=2,H=3,pool=1;T=1,B=4,I=2,H=3,pool=0") == (
        Case(1, 4, 2, 3, work="pool"),
        Case(1, 4, 2, 3, work="step"),
    )


def test_steps_that_are_calls() -> None:
    assert shapes.parse("T=1,B=4,I=2,H=3,cell=gru,stepwise=1;T=9,B=4,I=2,H=3,train=1,stepwise=1") == (
        Case(1, 4, 2, 3, work="step", cell="gru", stepwise=True),
        Case(9, 4, 2, 3, work="train", stepwise=True),
    )
    assert shapes.parse("T=9,B=4,I=2,H=3,stepwise=0") == (Case(9, 4, 2, 3),)


def test_one_step_is_a_step() -> None:
    assert shapes.parse("T=1,B=1,I=1,H=1")[0].work == "step"
    assert shapes.parse("T=1,B=1,I=1,H=1,train=1")[0].work == "train"
    assert shapes.parse("T=2,B=1,I=1,H=1,train=0")[0].work == "sequence"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected T=100,"),
        (" ; ", "expected T=100,"),
        ("100x1", "'100x1' is not part of a shape"),
        ("T=1,B=1,I=1", "no H"),
        ("T=1,B=1,I=1,H=1,", "'' is not part of a shape"),
        ("T=1,B=1,I=1,H=1,layer=2", "'layer=2' is not part of a shape"),
        ("t=1,B=1,I=1,H=1", "'t=1' is not part of a shape"),
        ("T=1,B=1,I=1,H=1,T=2", "T is there twice"),
        ("T=0,B=1,I=1,H=1", "from 1 to 1000000 for T in"),
        ("T=-1,B=1,I=1,H=1", "got '-1'"),
        ("T=1.5,B=1,I=1,H=1", "got '1.5'"),
        ("T=1_0,B=1,I=1,H=1", "got '1_0'"),
        ("T=,B=1,I=1,H=1", "got ''"),
        ("T=1,B=1,I=1,H=2000000", "got '2000000'"),
        ("T=1,B=1,I=1,H=" + "9" * 5000, "for H in"),
        ("T=1,B=1,I=1,H=1,directions=3", "from 1 to 2 for directions"),
        ("T=1,B=1,I=1,H=1,layers=0", "from 1 to 64 for layers"),
        ("T=1,B=1,I=1,H=1,train=2", "from 0 to 1 for train"),
        ("T=9,B=1,I=1,H=1;T=1,B=1", "no I"),
        ("T=1,B=1,I=1,H=1,cell=elman", "lstm, rnn or gru for cell in"),
        ("T=1,B=1,I=1,H=1,cell=", "got ''"),
        ("T=1,B=1,I=1,H=1,cell=rnn,cell=rnn", "cell is there twice"),
        ("T=9,B=4,I=1,H=1,valid=0", "from 1 to 100 for valid"),
        ("T=9,B=4,I=1,H=1,valid=101", "from 1 to 100 for valid"),
        ("T=9,B=4,I=1,H=1,valid=31", "got 31 %: 11 of 36"),
        ("T=9,B=4,I=1,H=1,valid=99", "got 99 %: 36 of 36"),
        ("T=9,B=1,I=1,H=1,valid=65", "got 65 %: 6 of 9"),
        ("T=1,B=4,I=1,H=1,valid=65", "got 65 %: 3 of 4"),
        ("T=9,B=4,I=1,H=1,reset=101", "from 0 to 100 for reset"),
        ("T=9,B=4,I=1,H=1,reset=", "got ''"),
        ("T=1,B=4,I=1,H=1,reset=50", "expected reset where T is more than 1"),
        ("T=9,B=4,I=1,H=1,reset=1", "got 1 %: 0 of 36"),
        ("T=9,B=4,I=1,H=1,reset=10,valid=65", "valid is 100"),
        ("T=9,B=4,I=1,H=1,recompute=2,train=1", "from 0 to 1 for recompute"),
        ("T=9,B=4,I=1,H=1,recompute=1", "expected train=1 with recompute=1"),
        ("T=9,B=4,I=1,H=1,pool=1", "expected T=1, one direction and no training with pool=1"),
        ("T=1,B=4,I=1,H=1,pool=1,train=1", "expected T=1, one direction and no training with pool=1"),
        ("T=1,B=4,I=1,H=1,pool=1,directions=2", "expected T=1, one direction and no training with pool=1"),
        ("T=1,B=4,I=1,H=1,pool=2", "from 0 to 1 for pool"),
        ("T=9,B=4,I=1,H=1,stepwise=1", "expected T=1 or train=1 with stepwise=1"),
        ("T=1,B=4,I=1,H=1,stepwise=1,layers=2", "one layer and direction"),
        ("T=1,B=4,I=1,H=1,stepwise=1,directions=2", "one layer and direction"),
        ("T=1,B=4,I=1,H=1,stepwise=1,pool=1", "expected T=1 or train=1 with stepwise=1"),
        ("T=9,B=4,I=1,H=1,stepwise=1,train=1,reset=20", "expected T=1 or train=1 with stepwise=1"),
        ("T=9,B=4,I=1,H=1,stepwise=1,train=1,valid=65", "expected T=1 or train=1 with stepwise=1"),
        ("T=9,B=4,I=1,H=1,stepwise=1,train=1,recompute=1", "expected T=1 or train=1 with stepwise=1"),
        ("T=1,B=4,I=1,H=1,stepwise=2", "from 0 to 1 for stepwise"),
        ("T=1,B=1,I=1000000,H=1000000", "checking it takes about"),
        ("T=1000000,B=1000000,I=1,H=1", "checking it takes about"),
    ],
)
def test_what_is_no_shape(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        shapes.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# Cases -----------------------------------------------------------------------------------------------


def test_the_work_in_a_layer() -> None:
    case = Case(10, 3, 5, 7)
    assert case.flops == 10 * 3 * 2 * (4 * 7) * (5 + 7)
    assert case.weight_bytes == 4 * (4 * 7) * (5 + 7)


def test_later_layers_take_the_outputs_of_both_directions() -> None:
    case = Case(1, 1, 5, 7, layers=2, directions=2)
    assert case.input_sizes == [5, 14]
    assert case.weight_bytes == 2 * 4 * 28 * ((5 + 7) + (14 + 7))
    assert case.flops == 2 * 2 * 28 * ((5 + 7) + (14 + 7))


def test_training_makes_every_product_three_times() -> None:
    assert Case(2, 3, 4, 5, work="train").flops == 3 * Case(2, 3, 4, 5).flops


def test_an_rnn_has_one_sum_for_four_gates_and_a_gru_three() -> None:
    for work in WORKS:
        lstm, rnn, gru = (Case(6, 3, 5, 7, 2, 2, work, cell) for cell in ("lstm", "rnn", "gru"))
        assert (lstm.flops, gru.flops) == (4 * rnn.flops, 3 * rnn.flops)
        assert (lstm.weight_bytes, gru.weight_bytes) == (4 * rnn.weight_bytes, 3 * rnn.weight_bytes)
    assert [Case(1, 1, 1, 1, cell=cell).halves for cell in ("lstm", "rnn", "gru")] == [2, 1, 1]


def test_only_valid_steps_are_work() -> None:
    case = Case(10, 4, 5, 7, valid=65)
    assert case.steps == 26
    assert case.flops == 26 * 2 * (4 * 7) * (5 + 7)
    assert case.weight_bytes == Case(10, 4, 5, 7).weight_bytes


def test_starts_and_recomputing_are_the_same_work() -> None:
    case = Case(10, 4, 5, 7, work="train")
    for other in (replace(case, reset=10), replace(case, recompute=True), replace(case, stepwise=True)):
        assert (other.steps, other.flops, other.weight_bytes) == (40, case.flops, case.weight_bytes)
    assert (case.starts, replace(case, reset=10).starts) == (0, 4)


def test_labels() -> None:
    assert Case(100, 1, 3, 64).label == "T=100 B=1 I=3 H=64"
    assert Case(1, 1, 3, 64, 1, 2).label == "T=1 B=1 I=3 H=64 L=1 D=2"
    assert Case(9, 1, 3, 64, 2, 1, "train").label == "T=9 B=1 train I=3 H=64 L=2 D=1"
    assert Case(9, 1, 3, 64, cell="rnn").label == "T=9 B=1 RNN I=3 H=64"
    case = Case(9, 4, 3, 64, 2, 1, "train", "rnn", 65)
    assert case.label == "T=9 B=4 RNN train I=3 H=64 L=2 D=1 65 % valid"
    assert case.label_parts == ["T=9 B=4 RNN train", "I=3 H=64 L=2 D=1", "65 % valid"]
    assert Case(9, 1, 3, 64, reset=1).label == "T=9 B=1 I=3 H=64 reset 1 %"
    assert Case(9, 1, 3, 64, reset=1).label_parts == ["T=9 B=1", "I=3 H=64", "reset 1 %"]
    case = Case(9, 1, 3, 64, work="train", recompute=True)
    assert case.label_parts == ["T=9 B=1 train", "I=3 H=64", "recompute"]
    case = Case(1, 1, 3, 64, work="step", cell="gru", stepwise=True)
    assert case.label_parts == ["T=1 B=1 GRU", "I=3 H=64", "stepwise"]
    assert Case(9, 1, 64, 64, work="chain", cell="gru").label == "T=9 B=1 GRU chain I=64 H=64"
