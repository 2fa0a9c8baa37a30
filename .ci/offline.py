"""Build and use a source distribution without a network: offline.py SDIST.

What the build needs is downloaded first, as pyproject.toml names it, and CMake and Ninja, which may not be
there. All that follows runs in a network namespace without a network, and pip is told of no index.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALONE = ["unshare", "--map-root-user", "--net"]
USE = """
import socket
import numpy as np, lstmfast
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except OSError:
    pass
else:
    raise SystemExit("there is a network")
y, _ = lstmfast.LSTM(3, 8, seed=0)(np.ones((5, 2, 3), np.float32))
print(f"lstmfast {lstmfast.__version__}, built without a network: y {y.shape}, its sum {y.sum():.6f}")
"""


def requirements() -> list[str]:
    """Read what the build and the package need, without a library for TOML, which Python 3.10 has not."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^(?:requires|dependencies) = \[(.*)\]$", text, re.M)
    return [name for found in lists for name in re.findall(r'"([^"]+)"', found)]


def main(sdist: str) -> None:
    """Download, build, import and compute."""
    archive = Path(sdist).resolve()
    with tempfile.TemporaryDirectory() as folder:
        wheels = str(Path(folder) / "wheels")
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels]
        subprocess.run([*download, *requirements(), "cmake", "ninja"], check=True)
        environment = Path(folder) / "environment"
        venv.create(environment, with_pip=True)
        python = str(environment / "bin" / "python")
        # Nor what a machine's pip is told of indexes.
        told = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        told["PIP_CONFIG_FILE"] = os.devnull
        install = [python, "-m", "pip", "install", "--no-index", "--find-links", wheels, str(archive)]
        subprocess.run([*ALONE, *install], check=True, cwd=folder, env=told)
        subprocess.run([*ALONE, python, "-I", "-c", USE], check=True, cwd=folder, env=told)


if __name__ == "__main__":
    main(*sys.argv[1:])
