#!/usr/bin/env python3
"""Makes the virtual environment that the live tests, the demo recorder and the conformance run share, and
prints the path of its Python. Does nothing when it already holds what requirements-test.txt asks for."""

import fcntl
import hashlib
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-test.txt"
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"


def main():
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = FOLDER / "requirements.sha256"
    (ROOT / "target").mkdir(exist_ok=True)
    with open(ROOT / "target" / "venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted and PYTHON.exists()):
            run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
            run(str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS))
            stamp.write_text(wanted)
    print(PYTHON)


def run(*command):
    done = subprocess.run(command, stdout=sys.stderr)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
