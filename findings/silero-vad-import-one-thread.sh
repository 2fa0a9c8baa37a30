#!/usr/bin/env bash
# `import silero_vad` calls torch.set_num_threads(1): from then on PyTorch computes with one thread in the whole process,
# other models too, and says nothing. Who imports it beside another model (a recogniser, a speaker encoder) has that run
# on one core, and whoever set the threads before the import is undone.
#
# Seen with silero-vad 6.2.3 and torch 2.13.0 on Linux, x86-64: 2 threads were set, 1 was left after the import.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 silero-vad==6.2.3

cd "$folder"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import torch

torch.set_num_threads(2)
import silero_vad

print("silero-vad", version("silero-vad"), "torch", torch.__version__, "threads:", torch.get_num_threads())
assert version("silero-vad") == "6.2.3"
assert torch.get_num_threads() == 1
PYTHON
