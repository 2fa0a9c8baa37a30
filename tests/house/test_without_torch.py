"""What is there of PyTorch's side where PyTorch is not."""

from __future__ import annotations

from ..core_helpers import run_python


def test_models_know_no_module() -> None:
    """lstmfast does not import it, no object is a module, and to_torch says what is missing."""
    program = """
import sys
import lstmfast
assert "torch" not in sys.modules
sys.modules["torch"] = None
lstm = lstmfast.LSTM(2, 3)
try:
    lstmfast.LSTM.from_torch(lstm)
except TypeError as error:
    assert str(error).startswith("module: expected a torch.nn.LSTM, got "), error
else:
    raise AssertionError
try:
    lstm.to_torch()
except ImportError as error:
    assert "pip install 'lstmfast[torch]'" in str(error), error
else:
    raise AssertionError
"""
    run_python(program)


def test_the_package_says_what_is_missing() -> None:
    program = """
import sys
sys.modules["torch"] = None
try:
    import lstmfast.torch
except ImportError as error:
    assert "pip install 'lstmfast[torch]'" in str(error), error
else:
    raise AssertionError
import lstmfast
lstmfast.LSTM(2, 3)
"""
    run_python(program)
