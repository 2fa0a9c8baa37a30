"""What Python tells the execution provider for ONNX Runtime, without ONNX Runtime."""

from __future__ import annotations

import ctypes

import pytest

import lstmfast
from lstmfast import _core


def test_the_provider_has_a_name_and_is_found_in_the_library() -> None:
    assert _core.onnxruntime_provider == "LstmfastExecutionProvider"
    library = ctypes.CDLL(_core.__file__)
    assert callable(library.CreateEpFactories)
    release = library.ReleaseEpFactory
    release.restype = ctypes.c_void_p
    assert release(None) is None  # a status: success


def test_isas_are_those_of_this_machine() -> None:
    for isa in lstmfast.available_isas():
        _core.onnxruntime_use_isa(isa)
    _core.onnxruntime_use_isa(lstmfast.isa())
    with pytest.raises(ValueError, match="isa: expected one of"):
        _core.onnxruntime_use_isa("mmx")


def test_reports_are_empty_until_somebody_adds_to_them() -> None:
    _core.onnxruntime_open_report("one")
    assert _core.onnxruntime_close_report("one") == []
    assert _core.onnxruntime_close_report("one") == []  # closed already


def test_memory_can_be_given_back() -> None:
    layer = lstmfast.LSTM(64, 64, seed=0)
    del layer
    _core.give_back_memory()
    assert lstmfast.LSTM(3, 4, seed=0).parameters
