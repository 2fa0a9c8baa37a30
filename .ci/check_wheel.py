"""See what is in a wheel, and that it is small: python .ci/check_wheel.py dist/*.whl."""

import re
import sys
import zipfile
from pathlib import Path

MOST_BYTES = 3_000_000
PYTHON = Path(__file__).parents[1] / "python"

wheel = Path(sys.argv[1])
# Without the folders, which auditwheel adds.
names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}

modules = {name for name in names if re.fullmatch(r"lstmfast/_core\.[\w-]+\.so", name)}
info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/"
expected = {info + name for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
expected |= {
    path.relative_to(PYTHON).as_posix()
    for path in (PYTHON / "lstmfast").rglob("*")
    if path.is_file() and path.suffix not in {".pyc", ".so"}
}
wrong = [f"not in it: {name}" for name in sorted(expected - names)]
wrong += [f"should not be in it: {name}" for name in sorted(names - modules - expected)]
if len(modules) != 1:
    wrong.append(f"expected one compiled module, got {sorted(modules)}")
if wheel.stat().st_size > MOST_BYTES:
    wrong.append(f"{wheel.stat().st_size} bytes, at most {MOST_BYTES} allowed")
if wrong:
    sys.exit("\n".join([f"{wheel.name}:", *wrong]))
print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size} bytes")
