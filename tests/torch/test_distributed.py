"""Data-parallel training: two processes with half of each batch go the way of one process with all of it.

Two processes of their own go through all cases once, over gloo and the loopback; the tests look at what they
came to. What one process comes to is computed here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import pytest

torch = pytest.importorskip("torch")
dist = pytest.importorskip("torch.distributed")
if not (dist.is_available() and dist.is_gloo_available()):
    pytest.skip("this PyTorch has no gloo", allow_module_level=True)

from torch.nn.parallel import DistributedDataParallel  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402

from ..helpers import ROOT  # noqa: E402

EXAMPLE = ROOT / "examples" / "train_distributed.py"
WORLD = 2
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
TORCHRUN += [f"--nproc-per-node={WORLD}"]
STEPS, B, T, I, H = 6, 8, 7, 5, 9
TIMEOUT = 100.0  # seconds; it takes about ten, and what hangs must fail
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo", "OMP_NUM_THREADS": "1"}
BOUNDS = {"float64": 1e-10, "float32": 1e-5}

Results: TypeAlias = dict[str, Any]  # "losses" [STEPS], and parameters by their names


class Case(NamedTuple):
    """A way to train."""

    options: Mapping[str, Any] = MappingProxyType({})  # of DistributedDataParallel
    kind: str = "LSTM"
    packed: bool = False
    pieces: int = 1  # of each process's part, whose gradients are added up
    aside: bool = False  # the model has a second LSTM, which not all steps and processes call
    late: bool = False  # accelerate what DistributedDataParallel has wrapped already


CASES = {
    "as it is": Case(),
    "a GRU": Case(kind="GRU"),
    "an RNN": Case(kind="RNN"),
    "packed": Case(packed=True),
    "accumulating": Case(pieces=2),
    "packed, accumulating": Case(packed=True, pieces=2),
    "unused": Case({"find_unused_parameters": True}, aside=True),
    "static graph": Case({"static_graph": True}),
    "static graph, packed": Case({"static_graph": True}, packed=True),
    "gradients in buckets": Case({"gradient_as_bucket_view": True, "bucket_cap_mb": 0.001}, pieces=2),
    "accelerated late": Case(late=True),
}


class Model(torch.nn.Module):  # type: ignore[name-defined, misc]
    """Linear, recurrent, linear: a number for each row of a batch."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        make = getattr(torch.nn, case.kind)
        self.encoder = torch.nn.Linear(I, I)
        self.recurrent = make(I, H, num_layers=2, batch_first=True, bidirectional=True)
        self.aside = make(I, 2 * H, batch_first=True) if case.aside else torch.nn.Identity()
        self.head = torch.nn.Linear(2 * H, 1)
        self.packed = case.packed
        self.paths: set[str] = set()

    def forward(self, x: Any, lengths: Any, call_aside: Any) -> Any:
        """x [B, T, I], lengths [B], and for which rows to call the second LSTM, [B] of bool."""
        x = self.encoder(x)
        if self.packed:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        self.paths.add(lstmfast.torch.explain(self.recurrent, x).path)
        y, end = self.recurrent(x)
        h_n = end[0] if isinstance(end, tuple) else end
        if self.packed:
            y, _ = pad_packed_sequence(y, batch_first=True)
        features = y.sum(1) / lengths[:, None] + torch.cat((h_n[-2], h_n[-1]), 1)
        if call_aside.any():
            more, _ = self.aside(x[call_aside])
            features = features.index_put((call_aside.nonzero()[:, 0],), more[:, -1], accumulate=True)
        return self.head(features)


def batch(step: int, case: Case, dtype: Any) -> tuple[Any, ...]:
    """The whole batch of a step, rows first: x, lengths, which rows call the second LSTM, targets."""
    generator = torch.Generator().manual_seed(step)
    x, target = (torch.randn(shape, generator=generator, dtype=dtype) for shape in ((B, T, I), (B, 1)))
    lengths = torch.full((B,), T)
    if case.packed:  # in either process's part, and either piece of it, others
        lengths = torch.tensor([3, 7, 1, 2, 5, 4, 7, 1]).roll(step)
    call_aside = torch.zeros(B, dtype=torch.bool)
    if case.aside:  # nobody, then every second row, which is rank 0, then everybody
        call_aside[:: (B + 1, 2, 1)[step % 3]] = step % 3 != 0
    return x, lengths, call_aside, target


def train(case: Case, dtype: str, accelerated: bool, rank: int = 0, world: int = 1) -> Results:
    """Train a model as one of `world` processes, or alone on whole batches."""
    torch.manual_seed(rank)  # DistributedDataParallel gives all the weights of rank 0
    model = Model(case).to(getattr(torch, dtype))
    if accelerated and not case.late:
        lstmfast.torch.accelerate(model)
    whole = world == 1
    runs = model if whole else DistributedDataParallel(model, **case.options)
    if accelerated and case.late:
        lstmfast.torch.accelerate(runs)
    optimizer = torch.optim.SGD(runs.parameters(), lr=0.1, momentum=0.9)
    pieces = 1 if whole else case.pieces
    losses = []
    for step in range(STEPS):
        parts = [tensor[rank::world].chunk(pieces) for tensor in batch(step, case, model.head.weight.dtype)]
        optimizer.zero_grad()
        loss = 0.0
        for n, (*arguments, target) in enumerate(zip(*parts, strict=True)):
            with nullcontext() if n == pieces - 1 else runs.no_sync():
                part = torch.nn.functional.mse_loss(runs(*arguments), target) / pieces
                part.backward()
            loss += part.item()
        optimizer.step()
        losses.append(loss)
    assert model.paths == {"lstmfast" if accelerated else "torch"}
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return {"losses": torch.tensor(losses, dtype=torch.float64), **weights}


def work(rank: str, meeting_place: str, results: str) -> None:
    """Be one of the two processes."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{meeting_place}",
        rank=int(rank),
        world_size=WORLD,
        timeout=timedelta(seconds=TIMEOUT / 2),  # of each wait for the other
    )
    found = {}
    for name, case in CASES.items():
        for dtype in BOUNDS:
            for accelerated in (False, True):
                print(name, dtype, accelerated, flush=True)  # where it was, if it hangs
                found[name, dtype, accelerated] = train(case, dtype, accelerated, int(rank), WORLD)
    torch.save(found, results)
    dist.destroy_process_group()


def run(*commands: list[str]) -> list[str]:
    """Run commands at the same time, with all that they start; return what each has written."""
    environment = {**os.environ, **LOOPBACK, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    processes = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,  # a group to be killed as a whole
        )
        for command in commands
    ]
    deadline = time.monotonic() + TIMEOUT
    try:
        outputs = [process.communicate(timeout=deadline - time.monotonic())[0] for process in processes]
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"hangs: {error.stdout!r}") from None
    finally:
        for process in processes:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(outputs)
    return outputs


def run_torchrun(command: list[str]) -> list[str]:
    """Run it, again if gloo's threads have aborted a process whose work was done.

    DistributedDataParallel of PyTorch 2.13 keeps them beyond destroy_process_group, without lstmfast as well;
    Python 3.11 ends a thread that needs it when it has ended itself. The example waits, which helps but
    promises nothing.
    """
    for _ in range(4):
        try:
            return run(command)
        except AssertionError as error:
            if "terminate called without an active exception" not in str(error):
                raise
    return run(command)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Results]]:
    """What each of the two processes came to."""
    folder = tmp_path_factory.mktemp("processes")
    results = [folder / f"{rank}.pt" for rank in range(WORLD)]
    script = f"import sys, {__name__}; {__name__}.work(*sys.argv[1:])"
    run(
        *(
            # A warning, such as that gradients are not laid out as buckets are, is an error here as well.
            [sys.executable, "-W", "error", "-c", script, str(rank), str(folder / "meet"), str(result)]
            for rank, result in enumerate(results)
        )
    )
    return [torch.load(result, weights_only=True) for result in results]


def assert_close(actual: Results, expected: Results, bound: float) -> None:
    assert set(actual) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(
            actual[name], tensor, rtol=bound, atol=bound, msg=lambda m, n=name: f"{n}: {m}"
        )


def together(ranks: list[Results]) -> Results:
    """The parameters of rank 0, and the losses of whole batches."""
    return {**ranks[0], "losses": sum(rank["losses"] for rank in ranks) / WORLD}


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_as_one(name: str, dtype: str, processes: list[dict[Any, Results]]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = {accelerated: train(CASES[name], dtype, accelerated) for accelerated in (False, True)}
    finally:
        torch.set_num_threads(before)
    assert alone[True]["losses"][-1] != alone[True]["losses"][0]
    for accelerated in (False, True):
        ranks = [found[name, dtype, accelerated] for found in processes]
        assert not torch.equal(ranks[0]["losses"], ranks[1]["losses"])  # each had a part of its own
        assert all(torch.equal(ranks[0][key], ranks[1][key]) for key in ranks[0] if key != "losses")
        assert_close(together(ranks), alone[accelerated], BOUNDS[dtype])
        assert_close(together(ranks), alone[not accelerated], BOUNDS[dtype])


def test_the_example_with_two_processes_and_alone() -> None:
    command = [str(EXAMPLE), "--steps", "60", "--batch", "32"]
    (alone,) = run([sys.executable, *command])
    (by_two,) = run_torchrun([*TORCHRUN, *command])
    curves = [re.findall(r"^step (\d+): loss (\d\.\d{4})$", said, re.M) for said in (alone, by_two)]
    assert [step for step, _ in curves[0]] == [step for step, _ in curves[1]] == ["1", "20", "40", "60"]
    losses = [[float(loss) for _, loss in curve] for curve in curves]
    assert losses[1] == pytest.approx(losses[0], abs=1.5e-4)  # printed to four digits
    assert losses[0][-1] < 0.5 * losses[0][0]
    assert re.findall(r"^\d process(?:es)?, ", alone + by_two, re.M) == ["1 process, ", "2 processes, "]


def test_the_example_refuses_batches_that_it_cannot_divide() -> None:
    with pytest.raises(AssertionError, match="--batch 5: not a multiple of the 2 processes"):
        run([*TORCHRUN, str(EXAMPLE), "--batch", "5"])
    with pytest.raises(AssertionError, match="--batch 0: not a multiple of the 1 processes"):
        run([sys.executable, str(EXAMPLE), "--batch", "0"])
