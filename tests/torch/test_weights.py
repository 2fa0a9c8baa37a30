"""Weights of lstmfast.torch's modules: packed once, kept while they serve, and others for one call."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from ..core_helpers import run_python

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402
from lstmfast.torch import _weights  # noqa: E402
from lstmfast.torch._own import own_of  # noqa: E402

from .helpers import assert_agree, input_of, leaf, pair, results  # noqa: E402


def test_unchanged_weights_are_packed_once() -> None:
    _, ours = pair("lstm", "float32")
    x = input_of(ours)
    with torch.no_grad():
        ours(x)
        state = own_of(ours).packed._state
        for _ in range(3):
            ours(x)
    results(ours, x)
    assert own_of(ours).packed._state is state


def test_functional_call_uses_other_weights_for_one_call(dtype: str) -> None:
    theirs, ours = pair("lstm", dtype)
    x = input_of(ours)
    other = {name: (0.5 * p.detach()).requires_grad_() for name, p in ours.named_parameters()}
    found = []
    for module in (theirs, ours):
        with torch.no_grad():
            alone = module(x)[0]
        y, _ = torch.func.functional_call(module, other, (x,))
        grads = torch.autograd.grad(y.sum(), list(other.values()))
        with torch.no_grad():
            assert torch.equal(module(x)[0], alone)
        found.append({str(n): t.detach().numpy() for n, t in enumerate((y, *grads))})
    assert_agree(found[1], found[0], dtype, "functional_call")


def test_weights_of_two_modules_are_one() -> None:
    _, first = pair("lstm", "float32")
    _, second = pair("lstm", "float32")
    for name, parameter in first.named_parameters():
        setattr(second, name, parameter)
    x = input_of(first)
    with torch.no_grad():
        first(x), second(x)
        first.weight_hh_l0.data.mul_(0.5)
        assert torch.equal(first(x)[0], second(x)[0])


def test_gradients_are_those_of_the_weights_of_the_forward_pass() -> None:
    """Where PyTorch does not notice the change; where it does, it refuses (test_torch_autograd)."""
    _, ours = pair("lstm", "float64")
    x = leaf(input_of(ours))
    (expected,) = torch.autograd.grad(ours(x)[0].sum(), x)
    y, _ = ours(x)
    ours.weight_hh_l0.data.mul_(0.5)
    (found,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(found, expected)


CHILD = """
import torch, torch.multiprocessing as mp
import lstmfast.torch

def write(weight):
    weight.mul_(0.5)

if __name__ == "__main__":
    torch.manual_seed(0)
    module, x = lstmfast.torch.LSTM(3, 5), torch.randn(4, 2, 3)
    module.share_memory()
    with torch.no_grad():
        module(x)
        expected = lstmfast.torch.LSTM(3, 5)
        expected.load_state_dict(module.state_dict())
        expected.weight_hh_l0.mul_(0.5)
        child = mp.get_context("fork").Process(target=write, args=(module.weight_hh_l0.data,))
        child.start()
        child.join()
        print(torch.equal(module(x)[0], expected(x)[0]))
"""


@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')", reason="no fork here")
def test_another_process_writes() -> None:
    assert run_python(CHILD).split() == ["True"]


def test_threads_call_while_another_writes() -> None:
    """Results then are of no certain weights, but nothing breaks, and what comes after is right."""
    theirs, ours = pair("lstm", "float32", hidden_size=64)
    x = input_of(ours)
    stop = threading.Event()
    errors: list[BaseException] = []

    def call() -> None:
        try:
            with torch.no_grad():
                while not stop.is_set():
                    ours(x)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for step in range(200):
        ours.weight_hh_l0.data.mul_(-1 if step % 2 else 0.999)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_packed_weights_go_with_the_tensors_that_they_are_of() -> None:
    """Those of operators, which know no module."""
    gc.collect()  # what other tests have left
    before = len(_weights._of_tensors)
    weights = [p.detach() for p in lstmfast.torch.LSTM(3, 5).parameters()]
    for _ in range(2):
        torch.ops.lstmfast.infer(torch.zeros(2, 1, 3), None, None, weights, None, "lstm", True, False)
    assert len(_weights._of_tensors) == before + 1
    del weights
    gc.collect()
    assert len(_weights._of_tensors) == before


def test_packed_weights_of_operators_go_though_the_first_tensor_stays() -> None:
    """As where one weight is computed for each call, or assigned anew: what was packed of it is of no use."""
    gc.collect()  # what other tests have left
    before = len(_weights._of_tensors)
    weights = [p.detach() for p in lstmfast.torch.LSTM(3, 5).parameters()]
    past = []
    for _ in range(20):
        past.append(weights[1])  # at once alive, so that each has an address of its own
        weights[1] = 0.9 * weights[1]
        torch.ops.lstmfast.infer(torch.zeros(2, 1, 3), None, None, weights, None, "lstm", True, False)
    past.clear()
    gc.collect()
    assert len(_weights._of_tensors) <= before + 1


def test_packed_weights_go_with_their_module() -> None:
    _, ours = pair("lstm", "float32")
    results(ours, input_of(ours))
    gone = [weakref.ref(thing) for thing in (ours, own_of(ours), own_of(ours).packed)]
    del ours
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3
