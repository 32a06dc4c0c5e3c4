"""What the comparison needs from the machine: Python's packages, and the binary of Annals."""

import filecmp
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENV = ROOT / "target" / "compare" / "venv"
REQUIREMENTS = HERE / "requirements.txt"


def note(text: str) -> None:
    """Tells what is going on; results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def enter_venv() -> None:
    """Goes on in an environment that has the packages, made first where it is missing."""
    if Path(sys.prefix) == VENV:
        return
    python = VENV / "bin" / "python"
    installed = VENV / REQUIREMENTS.name
    if not installed.exists() or not filecmp.cmp(REQUIREMENTS, installed, shallow=False):
        note(f"making {VENV} with the packages of {REQUIREMENTS.name} …")
        venv.create(VENV, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True)
        shutil.copy(REQUIREMENTS, installed)
    os.execv(python, [str(python), "-B", *sys.argv])


def annals_binary(given: Path | None) -> Path:
    """The binary that was named, or else this tree's release build."""
    if given:
        return given.resolve(strict=True)
    note("building annals …")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "-p", "annals"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or "target")
    return ROOT / target / "release" / "annals"
