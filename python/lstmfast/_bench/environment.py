"""The measuring process's environment: engines read threads and instruction sets when they are imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["HELD", "relevant", "variables"]

# Whose variables engines and their libraries read.
_PREFIXES = (
    "ATEN_", "DNNL_", "GOMP_", "JAX_", "KERAS_", "KMP_", "LSTMFAST_", "MKL_", "MNN_", "NCNN_", "NPROC",
    "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_", "OPENCV_", "OPENVINO_", "ORT_", "OV_", "PJRT_", "TF_",
    "TORCH", "TRACT_", "VECLIB_", "XLA_",
)  # fmt: skip

# What holds the engines' libraries to one of our ISAs. ONNX Runtime has no such switch. "avx512" and "neon"
# hold nobody back: for float32 there is nothing beyond them. Nothing is as narrow as "scalar".
HELD: Mapping[str, Mapping[str, str]] = {
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # PyTorch, OpenVINO
        "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # PyTorch
        "OPENBLAS_CORETYPE": "Haswell",  # NumPy
        "NPY_DISABLE_CPU_FEATURES": "",  # NumPy's own loops; what is beyond AVX2 depends on its version
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",  # JAX
    }
}


def variables(threads: int, isa: str | None, outer: Mapping[str, str]) -> dict[str, str]:
    """Return what to set on top of the environment `outer`.

    Parameters
    ----------
    threads : int
        For every engine alike.
    isa : str, optional
        What all are held to, as far as they can be; None leaves everyone what they choose themselves.
    outer : mapping
        The environment as it is; flags in it for XLA are kept.
    """
    count = str(threads)
    changes = {
        "LSTMFAST_NUM_THREADS": count,
        "OMP_NUM_THREADS": count,  # PyTorch
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,  # NumPy
        "VECLIB_MAXIMUM_THREADS": count,  # NumPy on macOS
        "NPROC": count,  # JAX: the size of its pool
        "PJRT_NPROC": count,
        "JAX_PLATFORMS": "cpu",
    }
    flags = [outer.get("XLA_FLAGS", "")]
    if threads == 1:
        flags.append("--xla_cpu_multi_thread_eigen=false")
    if isa is not None:
        changes["LSTMFAST_ISA"] = isa
        held = dict(HELD.get(isa, {}))
        flags.append(held.pop("XLA_FLAGS", ""))
        changes |= held
        if "NPY_DISABLE_CPU_FEATURES" in held:
            changes["NPY_DISABLE_CPU_FEATURES"] = " ".join(_wider_than_avx2())
    changes["XLA_FLAGS"] = " ".join(filter(None, flags))
    return changes


def relevant(variables: Mapping[str, str]) -> dict[str, str]:
    """Pick those that an engine may read: what they all were told."""
    return {name: value for name, value in sorted(variables.items()) if name.startswith(_PREFIXES) and value}


def _wider_than_avx2() -> list[str]:
    """Name the features that NumPy would choose its loops by, as this version of it calls them."""
    config: Any = np.show_config(mode="dicts")
    found = config.get("SIMD Extensions", {}).get("found", [])
    return [name for name in found if name.startswith(("AVX512", "X86_V4"))]
