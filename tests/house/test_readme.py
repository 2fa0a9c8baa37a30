"""README.md's examples do what they say, what it points to is there; `nox -s readme` runs its shell lines."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import EXAMPLES, ROOT, run_example

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example() -> None:
    names = run_example("y, (h_n, c_n) = lstm(x)  # y [100, 8, 32]")
    assert (names["y"].shape, names["h_n"].shape, names["c_n"].shape) == (
        (100, 8, 32),
        (2, 8, 32),
        (2, 8, 32),
    )
    lstm, x = names["lstm"], names["x"]

    def loss(weights: Any) -> float:
        lstm.load_state_dict(weights)
        return 0.5 * float(np.sum((lstm(x)[0] - 1.0) ** 2))

    # One step down the gradient: the loss falls, by nearly the step times the squared gradient.
    after = lstm.state_dict()
    before = {name: w + 1e-5 * names["grads"].parameters[name] for name, w in after.items()}
    squared = sum(float(np.sum(g.astype(float) ** 2)) for g in names["grads"].parameters.values())
    assert 0.9 < (loss(before) - loss(after)) / (1e-5 * squared) < 1.0


def test_the_example_frame_by_frame() -> None:
    names = run_example(".stream()")
    whole, _ = names["lstm"](names["frames"])
    assert np.array_equal(names["y"], whole[49])
    assert np.array_equal(names["ys"], whole[50:])
    assert np.array_equal(names["stream"].run(names["frames"][50:]), whole[50:])  # it went back


def test_the_example_of_a_pool() -> None:
    names = run_example("stream_pool")
    assert names["y"].shape == (2, 32)
    assert set(names["pool"].ids.tolist()) == {names["alice"], names["carol"]}


def test_the_example_with_lengths_and_reset() -> None:
    names = run_example("lengths=")
    lstm, x, y = names["lstm"], names["x"], names["y"]
    # The last call is that with reset: sequence 1 is three, and the others are whole.
    lstm_alone = lstmfast.LSTM(3, 32, num_layers=2, bidirectional=True, proj_size=16)
    lstm_alone.load_state_dict(lstm.state_dict())
    pieces = [lstm_alone(x[begin:end, 1:2])[0] for begin, end in ((0, 20), (20, 60), (60, 100))]
    assert np.array_equal(lstm(x, reset=names["starts"])[0][:, 1:2], np.concatenate(pieces))
    assert not np.array_equal(y[:, 1:2], np.concatenate(pieces))  # forward drops some outputs
    assert names["grads"].x.shape == x.shape
    assert not names["grads"].x[7:, 0].any()


def test_the_example_of_variants() -> None:
    names = run_example("LayerNormLSTM")
    assert [half.shape for half in names["grads"].reset_to] == [(1, 32), (1, 32)]
    assert names["c"].shape == names["y"].shape == (100, 4, 32)
    for layer in ("gru", "hard", "norm"):
        assert names[layer](names["x"])[0].shape == (100, 4, 32)


def test_the_example_with_pytorch(torch: Any) -> None:
    torch.manual_seed(0)
    names = run_example("from_torch")
    for name, weights in names["theirs"].state_dict().items():
        assert np.array_equal(weights.numpy(), names["ours"].parameters[name])
        assert np.array_equal(weights.numpy(), names["back"].state_dict()[name].numpy())


def test_the_example_in_pytorch(capsys: pytest.CaptureFixture[str], torch: Any) -> None:
    torch.manual_seed(0)
    names = run_example("lstmfast.torch.accelerate")
    assert capsys.readouterr().out.startswith("lstmfast: ")
    model = names["model"]
    assert all(parameter.grad is not None for parameter in model.parameters())
    names["lstmfast"].torch.restore(model)
    assert type(model.lstm) is torch.nn.LSTM
    with torch.inference_mode():
        np.testing.assert_allclose(names["scores"], model(names["tokens"]), atol=1e-5)


def test_the_example_of_weights_from_anywhere() -> None:
    names = run_example("from_weights")
    kernel = names["arrays"][0]
    assert names["lstm"].hidden_size == 32
    assert np.array_equal(names["params"]["if"]["kernel"], kernel[:, 32:64])


def test_no_other_example() -> None:
    assert len(EXAMPLES) == 13  # one each in tests/onnx, tests/keras, tests/jax and tests/sklearn


def test_the_test_line_is_there() -> None:
    lines = re.findall(r"^```sh\n(.*?)^```$", README, re.S | re.M)
    assert len(lines) == 2
    assert lines[0].endswith("lstmfast demo\n")
    assert lines[1].endswith("pytest -n 2\n")


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(file: str) -> None:
    links = re.findall(r"\]\((?!https://)([^)#]+)", (ROOT / file).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
