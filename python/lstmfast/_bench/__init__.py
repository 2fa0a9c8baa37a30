# Known by: _cli
"""`lstmfast bench`: lstmfast beside every LSTM engine that is installed, on the same weights, in one run.

The benchmarks live inside the package, not in a folder of their own beside it, because the command must work
from an installed wheel, on anyone's machine. Nothing here is imported before the command is run.

The order of work, and where it lives:

- `cases`, `suites`, `shapes`: what is measured; `command`: one run from options to reports;
- `environment`, `session`: the measuring process, started afresh so that threads and instruction sets are
  fixed before any engine is imported; `worker` is that process's own work, told and telling in JSON lines;
- `problem`: weights, inputs, and the float64 truth that every result is held against; `engines`: one adapter
  a file; `timing`: interleaved rounds; `probes`: what the machine itself can do;
- `results`: what was measured; `targets`: what it was to show; `inside`: sessions of ONNX Runtime, its own
  and ours, and from `memory` what they take; `limits`: the least time that the machine needs; `machine`:
  where it was;
- `table`, `pictures`, `page`, `outputs`: how it is told;
- `compare`: this revision of lstmfast beside earlier ones, `revisions`, each a `peer` in a Python of its own;
  `comparison` makes a verdict of it.
"""
