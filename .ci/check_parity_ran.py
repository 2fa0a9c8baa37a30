"""See in a pytest report that the tests against PyTorch ran: python .ci/check_parity_ran.py report.xml."""

import sys
import xml.etree.ElementTree as ET

report = ET.parse(sys.argv[1])
ran, skipped = 0, []
for case in report.iter("testcase"):
    name = f"{case.get('classname')}::{case.get('name')}"
    skip = case.find("skipped")
    if skip is not None and "torch" in (name + str(skip.get("message"))).lower():
        skipped.append(f"{name}: {skip.get('message')}")
    elif "parity" in name or "torch" in name:
        ran += skip is None
if skipped or not ran:
    sys.exit("\n".join([f"{ran} tests compared with PyTorch; skipped:", *skipped]))
print(f"{ran} tests compared with PyTorch, none of them skipped")
