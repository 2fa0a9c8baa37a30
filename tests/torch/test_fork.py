"""A forked child of a process that PyTorch's threads have worked in: it runs, on two threads as well.

In processes of their own, and every child has a deadline: what is guarded against is one that waits for ever.
"""

from __future__ import annotations

import os

import pytest

from ..core_helpers import run_python

pytest.importorskip("torch")

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
]

SCRIPT = """
import itertools, os, signal, sys, threading, warnings
import torch, lstmfast, lstmfast.torch
warnings.simplefilter("ignore")
torch.set_num_threads(2)
lstmfast.set_num_threads(2)
lstmfast._core.ignore_crowding(True)
torch.manual_seed(0)
H = 128  # weights and results are so large that PyTorch shares them among threads

def forked(work):
    "What a child makes of `work`: its exit code, 0 where it returns True."
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends it, and is no thread
        try:
            os._exit(0 if work() else 3)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def train(module, x):
    "Results and gradients, which add to what is there."
    y, state = module(x)
    y = y if torch.is_tensor(y) else y.data
    h = state if torch.is_tensor(state) else state[0]
    (y.square().mean() + h.sum()).backward()
    return [y.detach(), h.detach(), *(p.grad.clone() for p in module.parameters())]

def infer(module, x):
    with torch.no_grad():
        y, _ = module(x)
    return [y if torch.is_tensor(y) else y.data]

def inputs(layout, dtype):
    if layout == "unbatched":
        return torch.randn(300, H, dtype=dtype)
    x = torch.randn(30, 10, H, dtype=dtype)
    return torch.nn.utils.rnn.pack_padded_sequence(x, torch.arange(30, 20, -1)) if layout == "packed" else x

def same(found, expected):
    return len(found) == len(expected) and all(map(torch.equal, found, expected))
"""

CASES = """
for layout, bidirectional, before, after in itertools.product(
        ("time major", "batch first", "unbatched", "packed"), (False, True), (infer, train), (infer, train)):
    dtype = getattr(torch, sys.argv[2])
    module = getattr(lstmfast.torch, sys.argv[1])(
        H, H, batch_first=layout == "batch first", bidirectional=bidirectional).to(dtype)
    x = inputs(layout, dtype)
    before(module, x)
    grads = [None if p.grad is None else p.grad.clone() for p in module.parameters()]
    expected = after(module, x)
    for p, grad in zip(module.parameters(), grads):
        p.grad = grad
    torch.randn(1000, 1000).exp()  # PyTorch's threads have worked in any case
    code = forked(lambda: all([same(after(module, x), expected), torch.get_num_threads() == 2]))
    if code:
        print(layout, bidirectional, before.__name__, after.__name__, code)
        break
print("done")
"""


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_way_in_a_child(kind: str, dtype: str) -> None:
    assert run_python(SCRIPT + CASES, kind, dtype, timeout=1200) == "done\n"


MORE = """
module, x = lstmfast.torch.LSTM(H, H), inputs("time major", torch.float32)
threads = lambda: len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 2

def in_child():
    torch.randn(1000, 1000).exp()
    before = threads()
    infer(module, x)
    if threads() != before:  # PyTorch's, and none beside them
        return False
    optimizer = torch.optim.Adam(module.parameters())
    for _ in range(3):
        train(module, x)
        optimizer.step()
    return forked(lambda: len(train(module, x)) > 0) == 0  # a child of the child

train(module, x)
print(forked(in_child))
print(len(train(module, x)))  # the parent goes on, with threads again

def elsewhere():  # its threads are others
    train(module, x)
    print(forked(in_child))

thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
loader = torch.utils.data.DataLoader(range(4), num_workers=2, collate_fn=lambda n: infer(module, x)[0].sum())
print(len(list(loader)))
"""


def test_training_and_children_of_children() -> None:
    assert run_python(SCRIPT + MORE, timeout=600).split() == ["0", "6", "0", "4"]
