"""What scripts that fork begin with: how a child ended."""

from __future__ import annotations

ENDED = """
def ended(pid, seconds):
    "Wait for a child, not for ever; whether it ended with status 0."
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    print("a child hangs")
    return False
"""
