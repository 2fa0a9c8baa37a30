"""lstmfast.torch runs on PyTorch's threads, on as many as PyTorch does, and leaves tensors' memory be."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from ..core_helpers import run_python

torch = pytest.importorskip("torch")

import lstmfast  # noqa: E402
import lstmfast.torch  # noqa: E402
from lstmfast.torch import _threads  # noqa: E402


@pytest.fixture(autouse=True)
def two_threads() -> Any:
    before = torch.get_num_threads(), lstmfast.get_num_threads()
    torch.set_num_threads(2)
    lstmfast.set_num_threads(2)
    yield
    torch.set_num_threads(before[0])
    lstmfast.set_num_threads(before[1])


def results(module: Any, x: Any) -> list[Any]:
    x = x.clone().requires_grad_()
    y, (h, c) = module(x)
    return [y, h, c, *torch.autograd.grad(y.sum() + c.sum(), [x, *module.parameters()])]


# Rows shared by threads; panels; directions.
SHAPES = [(40, 32, 16, 96, {}), (60, 1, 64, 200, {}), (40, 2, 32, 128, {"bidirectional": True})]


@pytest.mark.parametrize(("steps", "rows", "inputs", "hidden", "options"), SHAPES)
def test_bits_do_not_depend_on_whose_threads_and_how_many(
    steps: int, rows: int, inputs: int, hidden: int, options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    module = lstmfast.torch.LSTM(inputs, hidden, **options)
    x = torch.randn(steps, rows, inputs)
    borrowed = results(module, x)
    torch.set_num_threads(1)
    alone = results(module, x)
    assert all(torch.equal(a, b) for a, b in zip(borrowed, alone, strict=True))
    own = lstmfast.LSTM.from_torch(module)(x.numpy())[0]
    assert np.array_equal(own, alone[0].detach())


@pytest.mark.skipif(
    "OpenMP" not in torch.__config__.parallel_info().partition("ATen parallel backend:")[2],
    reason="this PyTorch has threads of another kind",
)
def test_pytorchs_threads_are_found() -> None:
    assert _threads.borrow()


# What scripts begin with that count the process's threads.
COUNTING = """
import os
import torch, lstmfast, lstmfast.torch
lstmfast._core.ignore_crowding(True)

def threads() -> set[str]:
    return set(os.listdir("/proc/self/task"))
"""

THREADS_USED = """
torch.set_num_threads(2)
lstmfast.set_num_threads(2)
module, x = lstmfast.torch.LSTM(64, 256), torch.randn(100, 32, 64)
with torch.inference_mode():
    a = torch.randn(600, 600)
    a @ a, a.exp()
    before = threads()
    for _ in range(3):
        module(x)
    print(len(threads() - before), "new in PyTorch")
    lstmfast.LSTM.from_torch(module)(x.numpy())
    print(len(threads() - before), "new of its own")
"""


@pytest.mark.skipif("not __import__('os').path.isdir('/proc/self/task')", reason="not Linux")
def test_no_pool_beside_pytorchs() -> None:
    assert run_python(COUNTING + THREADS_USED).splitlines() == ["0 new in PyTorch", "1 new of its own"]


KEPT = """
torch.set_num_threads(4)
lstmfast.set_num_threads(4)
module, x = lstmfast.torch.LSTM(64, 128), torch.randn(100, 2, 64)
with torch.inference_mode():
    a = torch.randn(1000, 1000)
    a.exp()
    before = threads()
    module(x)  # two rows: two threads
    after = threads()
    a.exp()
    print(len(before - after), len(threads() - before))
"""


@pytest.mark.skipif("not __import__('os').path.isdir('/proc/self/task')", reason="not Linux")
def test_a_smaller_team_ends_none_of_pytorchs_threads() -> None:
    assert run_python(COUNTING + KEPT).split() == ["0", "0"]


FORKED = """
import os, sys
import numpy as np, torch, lstmfast, lstmfast.torch
torch.set_num_threads(2)
lstmfast.set_num_threads(2)
torch.manual_seed(0)
module, x = lstmfast.torch.LSTM(64, 256), torch.randn(100, 32, 64)
with torch.inference_mode():
    {first}
    expected = module(x)[0].numpy().copy()
    lstmfast.set_num_threads(2)
    torch.randn(600, 600).exp()  # PyTorch's threads have worked, whether or not ours
    child = os.fork()
    if child == 0:  # PyTorch's threads are not here, and its operators that need them would wait for ever
        os._exit(0 if np.array_equal(module(x)[0].numpy(), expected) else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, np.array_equal(module(x)[0].numpy(), expected))
"""


@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')", reason="no fork here")
@pytest.mark.parametrize("late", [False, True])
def test_after_a_fork_the_child_has_threads_of_its_own(late: bool) -> None:
    """Also where the first call of ours that takes threads is the child's."""
    first = "lstmfast.set_num_threads(1)" if late else ""
    assert run_python(FORKED.format(first=first)).split() == ["0", "True"]


STINTED = """
import torch, lstmfast, lstmfast.torch
torch.manual_seed(0)
torch.set_num_threads(2)
lstmfast.set_num_threads(2)
module, x = lstmfast.torch.LSTM(64, 256), torch.randn(100, 32, 64)
with torch.inference_mode():
    found = module(x)[0]
    torch.set_num_threads(1)
    print(torch.equal(found, module(x)[0]))
"""


@pytest.mark.parametrize("limit", [{"OMP_THREAD_LIMIT": "1"}, {"OMP_DYNAMIC": "true"}])
def test_fewer_threads_than_pytorch_was_told(limit: dict[str, Any]) -> None:
    """Then the core's own do the work: they wait for one another, so there have to be enough."""
    assert run_python(STINTED, **limit).split() == ["True"]


def test_many_python_threads_at_once() -> None:
    torch.manual_seed(0)
    module = lstmfast.torch.LSTM(32, 128, num_layers=2)
    x = torch.randn(40, 16, 32)
    expected = results(module, x)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(5):
            found = results(module, x)
            if not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_can_be_resized_afterwards() -> None:
    """As FSDP does with the memory of weights; a tensor whose `numpy()` was called could not."""
    module = lstmfast.torch.LSTM(3, 5)
    x, state = torch.randn(4, 2, 3, requires_grad=True), torch.randn(1, 2, 5)
    y, _ = module(x, (state, state))
    y.sum().backward()
    with torch.no_grad():
        module(x, (state, state))
    for tensor in (x, state, *module.parameters()):
        storage = tensor.untyped_storage()
        size = storage.size()
        storage.resize_(0)
        storage.resize_(size)
