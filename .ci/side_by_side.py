"""Run nox sessions side by side, in a copy each: python .ci/side_by_side.py FOLDER LINES LAST SESSION...

LINES sessions at once, begun in the order given. What a session says is shown in one piece when it has ended,
and what the session LAST says comes last. The first that fails ends all others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Session:
    """A session at work, in a clone of the last commit, and a group of processes of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.log, self.begun = name, folder / f"{name}.log", time.monotonic()
        subprocess.run(["git", "clone", "--quiet", ROOT, folder / name], check=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nox", "--session", name],
                cwd=folder / name,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self, status: int, cpu: float) -> str:
        """Take note of the end, and return a line of the table."""
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return f"{self.name:12}{cpu / 60:8.1f}{(time.monotonic() - self.begun) / 60:8.1f}"

    def tell(self) -> None:
        """Show what it has said."""
        print(f"{f' {self.name} ':=^110}", flush=True)
        sys.stdout.buffer.write(self.log.read_bytes())
        sys.stdout.flush()

    def stop(self) -> None:
        """End it with all that it has started."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def main(folder: Path, lines: int, told_last: str, names: list[str]) -> int:
    """Run all sessions; return 0, or the exit status of the one that failed."""
    waiting, running, table = list(names), dict[int, Session](), [f"{'minutes of':12}{'CPUs':>8}{'wall':>8}"]
    last: Session | None = None
    try:
        while waiting or running:
            while waiting and len(running) < lines:
                session = Session(waiting.pop(0), folder)
                running[session.process.pid] = session
            pid, status, used = os.wait4(-1, 0)
            session = running.pop(pid)
            table.append(session.ended(status, used.ru_utime + used.ru_stime))
            if session.process.returncode:
                session.tell()
                others = [*(other.name for other in running.values()), *waiting]
                print(f"\n{session.name} failed. Ended early or not begun: {', '.join(others) or 'none'}")
                return 1
            if session.name == told_last:
                last = session
            else:
                session.tell()
    finally:
        for session in running.values():
            session.stop()
    print("\n".join(table))
    if last:
        last.tell()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended, too
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
