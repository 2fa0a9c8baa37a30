"""PyTorch: its modules under `inference_mode`, with autograd, and with dynamically quantised weights."""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Callable
from typing import Any

from ..problem import Problem, Results
from . import Run, UnsupportedError, held, in_order, named, no_graphs, torch_cells, try_import, turns

__all__ = ["PyTorch", "PyTorchInt8"]


class PyTorch:
    """The module's call; for a step with its state; for training with `torch.autograd.grad`.

    Of many streams the states are gathered into a batch before the call and put back after it.

    Rows of different lengths are packed before the module and padded after it, as part of the call. Where
    rows start anew, the module runs from one such step to the next, and the state in between is masked.
    Stepwise it is not the module that runs but its step module, `LSTMCell` say.
    """

    name = "PyTorch"
    precision = "float32"

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._torch: Any = None

    def missing(self) -> str | None:
        """Import it, and set its threads."""
        if reason := try_import("torch"):
            return reason
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(self._threads)
        return None

    def version(self) -> str:
        """Return its version."""
        return str(self._torch.__version__)

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        variables = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")
        return {
            "threads": str(self._torch.get_num_threads()),
            "mode": "inference_mode around the loop; autograd for training",
            "lengths": "pack_padded_sequence, pad_packed_sequence",
            "pool": "states gathered into a batch and put back",
            "reset": "a loop over the runs of steps in which no row starts anew",
            "stepwise": "a step module (LSTMCell and its like), a call for every step",
            "instruction set": held(self._isa, *variables),
        }

    def _module(self, problem: Problem) -> Any:  # noqa: ANN401 - PyTorch is not there for the type checker
        case, torch = problem.case, self._torch
        if not case.kind.in_torch:
            raise UnsupportedError(f"it has no {case.kind.name}")
        kind = getattr(torch.nn, case.kind.name)
        module = kind(case.I, case.H, case.layers, bidirectional=case.directions == 2)
        module.load_state_dict({name: torch.tensor(array) for name, array in problem.weights.items()})
        return module

    def _cell(self, problem: Problem) -> Any:  # noqa: ANN401
        return torch_cells.build(self._torch, self._torch.nn, problem)

    def prepare(self, problem: Problem) -> Run:
        """Build the module."""
        no_graphs(problem)
        if problem.case.stepwise:
            return torch_cells.run(self._torch, self._cell(problem), problem)
        module, torch = self._module(problem), self._torch
        x = torch.tensor(problem.x)
        forward = module
        if problem.lengths is not None:
            forward = self._packing(module, problem)
        elif problem.reset is not None:
            forward = self._restarting(module, problem)

        if problem.case.work == "train":
            module.train()
            x.requires_grad_()
            dy = torch.tensor(problem.dy)
            names, parameters = zip(*module.named_parameters(), strict=True)

            def train() -> Any:  # noqa: ANN401
                y, _ = forward(x)
                return y, torch.autograd.grad(y, (x, *parameters), dy)

            def gradients(returned: Any) -> Results:  # noqa: ANN401
                y, (dx, *grads) = returned
                named = {f"d {name}": grad.numpy() for name, grad in zip(names, grads, strict=True)}
                return {"y": y.detach().numpy(), "dx": dx.numpy(), **named}

            return Run(train, gradients)

        module.eval()
        if problem.case.work == "step":
            state: Any = None

            def step() -> Any:  # noqa: ANN401
                nonlocal state
                y, state = module(x, state)
                return y, state

            return Run(step, _states, torch.inference_mode)
        if problem.case.work == "pool":
            return self._pool(module, problem)

        return Run(lambda: forward(x), _states, torch.inference_mode)

    def _pool(self, module: Any, problem: Problem) -> Run:  # noqa: ANN401
        torch, case = self._torch, problem.case
        kept = [torch.zeros(case.layers, case.B, case.H) for _ in range(case.halves)]
        calls = itertools.cycle(
            [(torch.tensor(order), torch.tensor(x), order) for order, x in turns(problem)]
        )

        def step() -> Any:  # noqa: ANN401
            ids, x, order = next(calls)
            gathered = [half.index_select(1, ids) for half in kept]
            y, state = module(x, tuple(gathered) if len(kept) > 1 else gathered[0])
            for half, new in zip(kept, state if len(kept) > 1 else (state,), strict=True):
                half.index_copy_(1, ids, new)
            return y, order

        def results(returned: Any) -> Results:  # noqa: ANN401
            y, order = returned
            return named(in_order(y.numpy(), order), *(half.numpy() for half in kept))

        return Run(step, results, torch.inference_mode)

    def _packing(self, module: Any, problem: Problem) -> Callable[[Any], Any]:  # noqa: ANN401
        """Let a module ignore what is past the rows' ends, as its users do."""
        rnn = self._torch.nn.utils.rnn
        lengths, T = self._torch.tensor(problem.lengths), problem.case.T

        def forward(x: Any) -> Any:  # noqa: ANN401
            packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            packed_y, state = module(packed)
            y, _ = rnn.pad_packed_sequence(packed_y, total_length=T)
            return y, state

        return forward

    def _restarting(self, module: Any, problem: Problem) -> Callable[[Any], Any]:  # noqa: ANN401
        """Start rows anew as recurrent policies of reinforcement learning do.

        Steps at which no row starts are joined into one call of the module: a loop over every single step,
        which is written as well, is slower.
        """
        if problem.case.directions == 2:
            raise UnsupportedError("from run to run only the forward direction's state can be carried on")
        torch = self._torch
        # [T, B], 0 where a row starts anew: as rollouts are stored.
        kept = 1 - torch.tensor(problem.reset, dtype=torch.float32)

        def forward(x: Any) -> Any:  # noqa: ANN401
            starts = (kept[1:] == 0).any(dim=1).nonzero().flatten() + 1
            bounds = [0, *starts.tolist(), len(x)]
            runs, state = [], None
            for begin, end in itertools.pairwise(bounds):
                y, state = module(x[begin:end], _masked(state, kept[begin, :, None]))
                runs.append(y)
            return torch.cat(runs), state

        return forward


def _masked(state: Any, kept: Any) -> Any:  # noqa: ANN401
    """Multiply a state's halves, [L, B, H], by what is kept of each row, [B, 1]; None is the zero state."""
    if isinstance(state, tuple):
        return tuple(half * kept for half in state)
    return None if state is None else state * kept


def _states(returned: Any) -> Results:  # noqa: ANN401
    y, state = returned
    halves = state if isinstance(state, tuple) else (state,)
    return named(y.numpy(), *(half.numpy() for half in halves))


class PyTorchInt8(PyTorch):
    """Weights in int8, activations quantised as they come: `quantize_dynamic`, for inference alone."""

    name = "PyTorch int8"
    precision = "int8"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {**super().settings(), "quantisation": "quantize_dynamic, qint8"}

    def _cell(self, problem: Problem) -> Any:  # noqa: ANN401
        raise UnsupportedError("step modules are measured in float32")

    def _module(self, problem: Problem) -> Any:  # noqa: ANN401
        if problem.case.work == "train":
            raise UnsupportedError("inference only")
        if problem.case.cell == "rnn":
            raise UnsupportedError("quantize_dynamic has no RNN")
        torch = self._torch
        # It replaces modules inside of the one that it is given, never that one itself.
        around = torch.nn.Sequential(super()._module(problem)).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is deprecated, but it is what there is
            quantization = importlib.import_module("torch.ao.quantization")
            return quantization.quantize_dynamic(around, {torch.nn.LSTM, torch.nn.GRU}, dtype=torch.qint8)[0]
