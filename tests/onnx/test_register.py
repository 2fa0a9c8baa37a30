"""Registering the execution provider, in processes of their own where it is about a fresh one."""

from __future__ import annotations

import importlib.machinery
import os
import re
import sys
import types
from typing import Any

import pytest

import lstmfast.onnx
from lstmfast import _core
from lstmfast.onnx import _runtime

from ..core_helpers import run_python
from ..helpers import ISAS, assert_same_bits
from .session_helpers import OURS, VERSION, by_us, model_of, node_of, onnxruntime, options_of, run

NODE = node_of("LSTM")


def test_names_and_path() -> None:
    assert lstmfast.onnx.get_ep_names() == [OURS]
    path = lstmfast.onnx.get_library_path()
    assert path == os.path.realpath(_core.__file__)
    assert path.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def test_twice() -> None:
    for _ in range(3):
        lstmfast.onnx.register()
        assert [found.ep_name for found in onnxruntime.get_ep_devices()].count(OURS) == 1
    (device,) = _runtime.device(onnxruntime)
    assert device.ep_vendor == "lstmfast"
    assert device.device.type == onnxruntime.OrtHardwareDeviceType.CPU


def test_two_packages_of_its_name_cannot_be_confused() -> None:
    """lstmfast.onnx is no `onnx`, nor does it need it."""
    assert "onnx" not in vars(lstmfast.onnx)


# In sessions that others make.


@pytest.mark.skipif(VERSION < (1, 25), reason="takes no plug-ins by name")
def test_by_name() -> None:
    lstmfast.onnx.register()
    data = model_of(NODE).SerializeToString()
    for providers in ([OURS], [OURS, "CPUExecutionProvider"], [(OURS, {"threads": "2", "isa": ISAS[-1]})]):
        session = onnxruntime.InferenceSession(data, options_of(ours_alone=False), providers)
        assert session.get_providers() == [OURS, "CPUExecutionProvider"]
        assert_same_bits(run(session, NODE.feeds), by_us(NODE))
    session = onnxruntime.InferenceSession(
        data, options_of(ours_alone=False), [OURS, "CPUExecutionProvider"], [{"weights": "float16"}, {}]
    )
    assert_same_bits(run(session, NODE.feeds), by_us(NODE, weights="float16"))


def test_by_device() -> None:
    lstmfast.onnx.register()
    devices = [found for found in onnxruntime.get_ep_devices() if found.ep_name == OURS]
    options = options_of()
    options.add_provider_for_devices(devices[:1], {"weights": "bfloat16"})
    session = onnxruntime.InferenceSession(model_of(NODE).SerializeToString(), options)
    assert_same_bits(run(session, NODE.feeds), by_us(NODE, weights="bfloat16"))


def test_sessions_that_do_not_ask_are_none_of_ours() -> None:
    lstmfast.onnx.register()
    session = onnxruntime.InferenceSession(model_of(NODE).SerializeToString())
    assert session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.skipif(VERSION < (1, 25), reason="takes no plug-ins by name")
def test_providers_can_be_changed_afterwards() -> None:
    session = lstmfast.onnx.session(model_of(NODE), options_of(ours_alone=False))
    expected = run(session, NODE.feeds)
    session.set_providers(["CPUExecutionProvider"])
    assert run(session, NODE.feeds)["Y"].tobytes() != expected["Y"].tobytes()
    session.set_providers([OURS])
    assert_same_bits(run(session, NODE.feeds), expected)


# In a fresh process.

BEGIN = """
import sys, threading
import numpy as np, onnx, onnxruntime
import lstmfast, lstmfast.onnx
from lstmfast.onnx import _runtime
NAME = "LstmfastExecutionProvider"
def devices():
    return [found.ep_name for found in onnxruntime.get_ep_devices()].count(NAME)
def compute():
    w = onnx.numpy_helper.from_array(np.full((1, 12, 2), 0.25, np.float32), "W")
    r = onnx.numpy_helper.from_array(np.full((1, 12, 3), 0.5, np.float32), "R")
    make = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("LSTM", ["X", "W", "R"], ["Y"], hidden_size=3)
    ends = [make("X", 1, (4, 2, 2))], [make("Y", 1, (4, 1, 2, 3))]
    graph = onnx.helper.make_graph([node], "g", *ends, [w, r])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = lstmfast.onnx.session(model, options)
    return session.run(None, {"X": np.ones((4, 2, 2), np.float32)})[0]
"""


def fresh(script: str) -> None:
    assert run_python(BEGIN + script + "print('done')\n") == "done\n"


def test_two_threads_at_once() -> None:
    fresh(
        """
gate = threading.Barrier(8)
errors = []
def job():
    gate.wait()
    try:
        lstmfast.onnx.register()
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=job) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert errors == [] and devices() == 1, (errors, devices())
"""
    )


def test_registered_by_others_before_and_after() -> None:
    """Under names of their own; ours adds none, and either serves."""
    fresh(
        """
onnxruntime.register_execution_provider_library("theirs", lstmfast.onnx.get_library_path())
lstmfast.onnx.register()
assert devices() == 1
expected = compute()
onnxruntime.register_execution_provider_library("again", lstmfast.onnx.get_library_path())
assert devices() == 2
lstmfast.onnx.register()
assert compute().tobytes() == expected.tobytes() and devices() == 2
"""
    )


def test_registered_again_after_it_was_taken_out() -> None:
    """Which is safe without sessions alone; ONNX Runtime does not look."""
    fresh(
        """
lstmfast.onnx.register()
onnxruntime.unregister_execution_provider_library("lstmfast")
assert devices() == 0
expected = compute()
assert devices() == 1 and np.isfinite(expected).all()
"""
    )


def test_the_isa_is_the_processs_whoever_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(_core, "onnxruntime_use_isa", told.append)
    lstmfast.onnx.register()
    lstmfast.onnx.register()
    assert told == [lstmfast.isa()] * 2


def test_importing_it_imports_no_onnxruntime() -> None:
    script = "import sys, lstmfast.onnx\nprint({'onnx', 'onnxruntime', 'numpy'} & set(sys.modules))\n"
    assert run_python(script) == "{'numpy'}\n"


# onnxruntime missing, or too old.


def calls() -> dict[str, Any]:
    data = model_of(NODE).SerializeToString()
    return {
        "register": lstmfast.onnx.register,
        "session": lambda: lstmfast.onnx.session(data),
        "explain": lambda: lstmfast.onnx.explain(data),
    }


@pytest.mark.parametrize("name", calls())
def test_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "lstmfast.onnx needs onnxruntime for this: pip install 'lstmfast[onnxruntime]'"
    for found in (None, types.ModuleType("onnxruntime")):  # the second: a folder of this name
        monkeypatch.setitem(sys.modules, "onnxruntime", found)
        with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
            calls()[name]()


@pytest.mark.parametrize("version", ["1.23.2", "1.9.0", "0.5", "1.23.0.dev1"])
@pytest.mark.parametrize("name", calls())
def test_too_old(name: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = types.ModuleType("onnxruntime")
    old.__version__ = version  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", old)
    message = (
        f"lstmfast.onnx needs onnxruntime 1.24 or newer, got {version}: pip install --upgrade onnxruntime"
    )
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        calls()[name]()


@pytest.mark.parametrize(
    ("version", "numbers"), [("1.24.0", (1, 24)), ("1.32.0+cpu", (1, 32)), ("2.0.0rc1", (2, 0))]
)
def test_versions(version: str, numbers: tuple[int, int]) -> None:
    assert _runtime.version_of(types.SimpleNamespace(__version__=version)) == numbers
