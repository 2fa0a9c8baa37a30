"""Tools that docs/pytorch.md names: what they say of an accelerated model, and of a restored one."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .helpers import pair  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of tools, of many kinds


class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Recurrent, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 6)
        self.head = torch.nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0])


def by_thop(model: Any) -> Any:
    thop = pytest.importorskip("thop")
    return thop.profile(model, (torch.zeros(5, 2, 4),), verbose=False)


def by_ptflops(model: Any) -> Any:
    ptflops = pytest.importorskip("ptflops")
    return ptflops.get_model_complexity_info(
        model, (2, 4), as_strings=False, print_per_layer_stat=False, backend="pytorch"
    )


def by_opacus(model: Any) -> Any:
    validators = pytest.importorskip("opacus.validators")
    return len(validators.ModuleValidator.validate(model, strict=False))


def by_quantize_dynamic(model: Any) -> Any:
    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.LSTM}, dtype=torch.qint8)
    return type(quantized.lstm).__module__.startswith("torch.ao.nn.quantized")


@pytest.mark.parametrize(
    "tool",
    [
        *(pytest.param(tool, marks=pytest.mark.tools) for tool in (by_thop, by_ptflops, by_opacus)),
        by_quantize_dynamic,
    ],
)
def test_tools_that_go_by_type(tool: Any) -> None:
    """They pass over ours: `restore` first, as the documentation says."""
    with contextlib.redirect_stdout(io.StringIO()):
        expected = tool(Model())
        assert tool(lstmfast.torch.accelerate(Model())) != expected
        assert tool(lstmfast.torch.restore(lstmfast.torch.accelerate(Model()))) == expected


FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deep": {"num_layers": 2, "bidirectional": True},
    "projected": {"num_layers": 2, "bidirectional": True, "proj_size": 3, "bias": False},
    "projected, one way": {"proj_size": 3},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("wanted", [("x", "state", "weights"), ("weights",), ("x",)])
def test_flop_counter(kind: str, form: str, wanted: tuple[str, ...]) -> None:
    """Each product counts as PyTorch's own in float64 does; its float32 LSTM counts as nothing."""
    from torch.utils.flop_counter import FlopCounterMode

    options = {name: value for name, value in FORMS[form].items() if kind == "lstm" or name != "proj_size"}
    found = []
    for module in pair(kind, **options):
        x = torch.randn(5, 3, module.input_size, dtype=torch.float64, requires_grad="x" in wanted)
        depth = module.num_layers * (2 if module.bidirectional else 1)
        sizes = (module.proj_size or module.hidden_size, module.hidden_size)
        states = [
            torch.zeros(depth, 3, n, dtype=torch.float64, requires_grad="state" in wanted) for n in sizes
        ]
        for weight in module.parameters():
            weight.requires_grad_("weights" in wanted)
        with FlopCounterMode(display=False) as ahead:
            y, _ = module(x, tuple(states) if kind == "lstm" else states[0])
        with FlopCounterMode(display=False) as back:
            y.sum().backward()
        found.append((ahead.get_total_flops(), back.get_total_flops()))
    assert found[1] == found[0]


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_flop_counter_of_packed_sequences(kind: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for module in pair(kind):
        x = torch.randn(5, 3, module.input_size, dtype=torch.float64)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 4, 2]))
        with FlopCounterMode(display=False) as ahead:
            module(packed)
        counts.append(ahead.get_total_flops())
    assert counts[1] == counts[0]
