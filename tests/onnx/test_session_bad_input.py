"""Bad input: what each message says, and that a session goes on after it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from ..helpers import ISAS, Array, assert_same_bits
from .session_helpers import VERSION, Node, by_us, model_of, node_of, onnxruntime, run, session_of

NODE = node_of("LSTM", 5, 3, 4, 6, direction="bidirectional", states=True, lengths=[5, 2, 4])


def sized(name: str, *shape: int) -> dict[str, Array]:
    return {name: np.zeros(shape, np.float32)}


def with_lengths(*lengths: int) -> dict[str, Array]:
    return {"sequence_lens": np.array(lengths, np.int32)}


# By the end of their messages. ONNX Runtime puts the node's name before it.
CALLS: dict[str, dict[str, Array]] = {
    "X: expected 4 numbers a step, as W has, got [5, 3, 7]": sized("X", 5, 3, 7),
    "X: expected 4 numbers a step, as W has, got [5, 3, 0]": sized("X", 5, 3, 0),
    "sequence_lens: expected [4], one for each row, got [3]": sized("X", 5, 4, 4),
    "sequence_lens: expected 0 to 4, got 5 for row 0": sized("X", 4, 3, 4),
    "sequence_lens: expected 0 to 5, got 6 for row 2": with_lengths(0, 5, 6),
    "sequence_lens: expected 0 to 5, got -1 for row 1": with_lengths(5, -1, 5),
    "sequence_lens: expected 0 to 5, got -2147483648 for row 1": with_lengths(5, -(2**31), 5),
    "sequence_lens: expected [3], one for each row, got [2]": with_lengths(5, 5),
    "sequence_lens: expected [3], one for each row, got [0]": with_lengths(),
    "initial_h: expected [2, 3, 6], got [2, 3, 5]": sized("initial_h", 2, 3, 5),
    "initial_h: expected [2, 3, 6], got [1, 3, 6]": sized("initial_h", 1, 3, 6),
    "initial_c: expected [2, 3, 6], got [2, 2, 6]": sized("initial_c", 2, 2, 6),
    "initial_c: expected [2, 3, 6], got [3, 2, 6]": sized("initial_c", 3, 2, 6),
}


@pytest.mark.parametrize("message", CALLS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_calls(message: str, dtype: str) -> None:
    node = in_dtype(NODE, dtype)
    session = session_of(model_of(node, static=False))
    expected = run(session, node.feeds)
    wrong = {
        name: array.astype(dtype) if array.dtype.kind == "f" else array
        for name, array in CALLS[message].items()
    }
    for _ in range(2):
        with pytest.raises(Exception, match=r"running LSTM node. Name:'node' Status Message: ") as error:
            run(session, {**node.feeds, **wrong})
        assert str(error.value).rstrip().endswith(message)
        assert_same_bits(run(session, node.feeds), expected)


def in_dtype(node: Node, dtype: str) -> Node:
    return node.but(
        **{name: array.astype(dtype) for name, array in node.inputs.items() if array.dtype.kind == "f"}
    )


@pytest.mark.parametrize("wrong", [(3, 2, 6), (2, 3, 6)])
def test_states_with_rows_first(wrong: tuple[int, ...]) -> None:
    node = node_of("GRU", 5, 4, 4, 6, direction="bidirectional", states=True, layout=1)
    session = session_of(model_of(node, static=False))
    with pytest.raises(Exception, match=r"initial_h: expected \[4, 2, 6\], got "):
        run(session, {**node.feeds, **sized("initial_h", *wrong)})
    assert_same_bits(run(session, node.feeds), by_us(node))


def test_axes() -> None:
    """ONNX Runtime itself looks at their number, where the model says it."""
    model = model_of(NODE, static=False)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    session = session_of(model)
    with pytest.raises(Exception, match=r"X: expected three axes, got \[5, 4\]"):
        run(session, {**NODE.feeds, **sized("X", 5, 4)})
    assert_same_bits(run(session, NODE.feeds), by_us(NODE))


# Models.


def test_models(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    good = model_of(NODE).SerializeToString()
    unknown = model_of(NODE)
    unknown.graph.node[0].op_type = "Nothing"
    for wrong in (path, str(path), b"no model", good[: len(good) // 2], unknown):
        with pytest.raises(ValueError, match=r"^model: expected an ONNX model that onnxruntime takes: "):
            lstmfast.onnx.session(wrong)
    path.write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"^model: expected an ONNX model, got '.*model.onnx', which is empty$"
    ):
        lstmfast.onnx.session(path)
    for empty in (b"", bytearray(), type(unknown)()):
        with pytest.raises(
            ValueError, match=r"^model: expected an ONNX model, got one without anything in it$"
        ):
            lstmfast.onnx.session(empty)
    with pytest.raises(ValueError, match=r"^model: expected an ONNX model, got one without a graph: "):
        lstmfast.onnx.session(b"xx")
    for missing in (tmp_path / "none.onnx", str(tmp_path), tmp_path):
        with pytest.raises(FileNotFoundError, match=r"^model: expected a file, got '"):
            lstmfast.onnx.session(missing)
    for thing in (None, 3, [good], unknown.graph, np.zeros(3)):
        with pytest.raises(TypeError, match=r"^model: expected a path, bytes or an onnx.ModelProto, got "):
            lstmfast.onnx.session(thing)


# Options.

OPTIONS: dict[str, dict[str, Any]] = {
    "weights: expected 'float32' or 'float16' or 'bfloat16' or 'int8', got 'int4' (str)": {"weights": "int4"},
    "weights: expected 'float32' or 'float16' or 'bfloat16' or 'int8', got None": {"weights": None},
    "threads: expected an integer >= 1, got 0 (int)": {"threads": 0},
    "threads: expected an integer >= 1, got '2' (str)": {"threads": "2"},
    "threads: expected an integer >= 1, got 1.5 (float)": {"threads": 1.5},
    "threads: expected an integer <= 4096, got 5000 (int)": {"threads": 5000},
    f"isa: expected {' or '.join(map(repr, ISAS))}, got 'sse' (str)": {"isa": "sse"},
    "sess_options: expected an onnxruntime.SessionOptions or None, got a dict of length 0": {
        "sess_options": {}
    },
    "session() got an unexpected keyword argument 'thread'": {"thread": 2},
    "session() got an unexpected keyword argument 'report'": {"report": "x"},
}


@pytest.mark.parametrize("message", OPTIONS)
def test_options(message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        lstmfast.onnx.session(model_of(NODE), **OPTIONS[message])


@pytest.mark.skipif(VERSION < (1, 25), reason="takes no plug-ins by name")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": "0"}, "threads: expected a whole number from 1 to 4096, got '0'"),
        ({"threads": "-1"}, "threads: expected a whole number from 1 to 4096, got '-1'"),
        ({"threads": "two"}, "threads: expected a whole number from 1 to 4096, got 'two'"),
        ({"threads": "99999999999"}, "threads: expected a whole number from 1 to 4096, got '99999999999'"),
        ({"weights": "half"}, "weights: expected 'float32', 'float16', 'bfloat16' or 'int8', got 'half'"),
        ({"isa": "avx1024"}, "avx1024"),
        ({"thread": "2"}, "options: expected 'threads', 'weights' or 'isa', got 'thread'"),
    ],
)
def test_options_of_the_provider(options: dict[str, str], message: str) -> None:
    """For those who make sessions themselves."""
    lstmfast.onnx.register()
    data = model_of(NODE).SerializeToString()
    providers = [("LstmfastExecutionProvider", options)]
    with pytest.raises(Exception, match=re.escape(message)):
        onnxruntime.InferenceSession(data, providers=providers, enable_fallback=0)


def test_providers() -> None:
    model = model_of(NODE)
    for providers in (None, [], ["CPUExecutionProvider"]):
        assert_same_bits(run(lstmfast.onnx.session(model, providers=providers), NODE.feeds), by_us(NODE))
    if VERSION >= (1, 25):
        with pytest.raises(Exception, match=r"Azure|NoSuch"):
            lstmfast.onnx.session(model, providers=["NoSuchExecutionProvider"])
        return
    message = "providers: expected None or .'CPUExecutionProvider'. under onnxruntime "
    wrong: list[dict[str, Any]] = [{"providers": ["Other"]}, {"provider_options": [{}]}]
    for more in wrong:
        with pytest.raises(ValueError, match=message):
            lstmfast.onnx.session(model, **more)
