"""torch.onnx.export of accelerated models: what it writes of PyTorch's own modules, by either exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .helpers import is_ours  # noqa: E402

pytestmark = [pytest.mark.tools, pytest.mark.filterwarnings("ignore")]  # exporters warn of much


class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Every kind of layer."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 6, num_layers=2, bidirectional=True, batch_first=batch_first)
        self.gru = torch.nn.GRU(12, 8, num_layers=2, batch_first=batch_first)
        self.rnn = torch.nn.RNN(8, 5, batch_first=batch_first)

    def forward(self, x: Any) -> Any:
        return self.rnn(self.gru(self.lstm(x)[0])[0])


def exported(model: Any, path: Path, dynamo: bool, dynamic: bool) -> Any:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    how: dict[str, Any] = {}
    if dynamic and dynamo:
        how["dynamic_shapes"] = ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO},)
    elif dynamic:
        how |= {"input_names": ["x"], "dynamic_axes": {"x": {0: "a", 1: "b"}}}
    torch.onnx.export(model, (torch.zeros(7, 3, 4),), path, dynamo=dynamo, **how)
    graph = onnx.load(path).graph
    nodes = [(node.op_type, [str(each) for each in node.attribute]) for node in graph.node]
    values = [str(value.type) for value in (*graph.input, *graph.output)]
    weights = [onnx.numpy_helper.to_array(each).tolist() for each in graph.initializer]
    return nodes, values, weights


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_exported_as_pytorchs(dynamo: bool, dynamic: bool, batch_first: bool, tmp_path: Path) -> None:
    model = Model(batch_first).eval()
    expected = exported(model, tmp_path / "theirs.onnx", dynamo, dynamic)
    lstmfast.torch.accelerate(model)
    assert exported(model, tmp_path / "ours.onnx", dynamo, dynamic) == expected
    assert {"LSTM", "GRU"} <= {kind for kind, _ in expected[0]}
    assert is_ours(model.lstm)
    assert is_ours(model.gru)


class Loop(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Every kind of single step, in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTMCell(4, 6)
        self.gru = torch.nn.GRUCell(6, 5)
        self.rnn = torch.nn.RNNCell(5, 5, nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        state = h = y = None
        for t in range(3):
            state = self.lstm(x[t], state)
            h = self.gru(state[0], h)
            y = self.rnn(h, y)
        return y


@pytest.mark.parametrize("dynamo", [False, True])
def test_loops_of_steps_are_exported_as_pytorchs(dynamo: bool, tmp_path: Path) -> None:
    model = Loop().eval()
    expected = exported(model, tmp_path / "theirs.onnx", dynamo, dynamic=False)
    lstmfast.torch.accelerate(model)
    assert exported(model, tmp_path / "ours.onnx", dynamo, dynamic=False) == expected
    assert is_ours(model.lstm)
