"""Runs commands in a Debian 13 root that has TFX, whose wheels need a newer C library than Debian 12's.

    python tests/tfx/debian_root.py [--where-possible] COMMAND ...

The root is made once, by debootstrap, pip and what stands in `requirements.txt`, and kept in TFX_ROOTS
($XDG_CACHE_HOME/tfmmrec/tfx, or that below ~/.cache; 4 GB, to be removed at will); another `requirements.txt` makes
another in its place. It takes rights of root, debootstrap, and mirrors of Debian and of Python packages: where one is
missing the exit status is 77, or with --where-possible it is said and the status is 0. Else it is the command's.

Commands run in namespaces of their own, with the sources read-only in /tfmmrec: no mount and no process outlives them,
however this script ends. They see pip's settings of this machine.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]
REQUIREMENTS = HERE / "requirements.txt"
CANNOT = 77
PYTHON = "/venv/bin/python"
_PACKAGES = "python3,python3-venv,python3-dev,g++"
_OURS = re.compile(r"[0-9a-f]{12}(\.making)?")
_LEAST_BYTES = 8 * 2**30
_MOST_SECONDS = 1200
_NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
"""End with this process, however that ends, and take its processes and mounts along."""
# $1: the root. $2...: places of this machine that it sees, up to "--"; then the command.
_ENTER = """
root=$1; shift
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" "$root/tfmmrec"
mount -t tmpfs shm "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
while [ "$1" != -- ]; do
    inside=$1; [ "$1" != "$SOURCES" ] || inside=/tfmmrec
    if [ -d "$1" ]; then mkdir -p "$root$inside"; else mkdir -p "$root$(dirname "$inside")"; touch "$root$inside"; fi
    mount --bind "$1" "$root$inside"
    mount -o remount,bind,ro "$root$inside"
    shift
done
shift
exec chroot "$root" env -C /tfmmrec "$@"
"""


class CannotMake(Exception):
    """What the root takes is not on this machine; the message says what."""


def main(arguments: list[str]) -> int:
    """The command."""
    where_possible = arguments[:1] == ["--where-possible"]
    command = arguments[1:] if where_possible else arguments
    try:
        with ready_root(roots()) as root:
            return inside(root, command)
    except CannotMake as reason:
        print(f"The tests of the TFX pipeline were NOT RUN: {reason}", file=sys.stderr)
        return 0 if where_possible else CANNOT


def roots() -> Path:
    """The folder of roots."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("TFX_ROOTS") or f"{cache}/tfmmrec/tfx")


@contextmanager
def ready_root(folder: Path) -> Iterator[Path]:
    """The root, made first where it is not there yet; nobody removes it before the block ends.

    Raises:
        CannotMake: it is not there and cannot be made.
    """
    if os.geteuid() != 0:
        raise CannotMake("a root is made and entered by root alone")
    for program in ("debootstrap", "unshare", "chroot", "setpriv"):
        if shutil.which(program) is None:
            raise CannotMake(f"no {program} is on the PATH")
    if subprocess.run([*_NAMESPACES, "true"], capture_output=True).returncode:
        raise CannotMake("this machine grants no namespaces (unshare)")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + _PACKAGES.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / digest
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not root.exists():
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not root.exists():
                _make(root)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield root


def inside(root: Path, command: list[str], **streams) -> int:
    """Runs a command in the root, in namespaces that end with it; returns its exit status."""
    settings, places = pip_settings()
    environment = (
        os.environ
        | settings
        | {
            "SOURCES": str(SOURCES),
            "HOME": "/root",
            "PATH": "/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": "/tfmmrec",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "LC_ALL": "C.UTF-8",
        }
    )
    for name in ("VIRTUAL_ENV", "PYTHONHOME", "TMPDIR", "XDG_CACHE_HOME", "MAKEFLAGS"):
        environment.pop(name, None)
    enter = ["bash", "-euc", _ENTER, "enter", str(root), str(SOURCES), *places, "--", *command]
    return subprocess.run([*_NAMESPACES, *enter], env=environment, **streams).returncode


def pip_settings() -> tuple[dict[str, str], list[str]]:
    """pip's settings as variables of the environment, and the files and folders of this machine that they name.

    An index's pages may point to what lies beside it, so the folder around a folder is meant.
    """
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    settings = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in ("global", "install"):
            settings["PIP_" + name.upper().replace("-", "_")] = ast.literal_eval(value)
    settings |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    named = (Path(path) for value in settings.values() for path in re.findall(r"(?:^|://|[\s,])(/[^\s,]+)", value))
    places = {path if path.is_file() or path.parent == Path("/") else path.parent for path in named if path.exists()}
    return settings, sorted(map(str, places))


def _make(root: Path) -> None:
    started = time.monotonic()
    for old in root.parent.iterdir():
        if _OURS.fullmatch(old.name):
            shutil.rmtree(old)
    if shutil.disk_usage(root.parent).free < _LEAST_BYTES:
        raise CannotMake(f"{root.parent} has less than {_LEAST_BYTES >> 30} GiB free")
    print(f"Making a Debian 13 root with TFX in {root.parent} (4 GB, some minutes) ...", file=sys.stderr, flush=True)
    making, log = root.with_suffix(".making"), root.with_suffix(".log")
    (making / "etc" / "dpkg" / "dpkg.cfg.d").mkdir(parents=True)
    (making / "etc" / "dpkg" / "dpkg.cfg.d" / "quick").write_text("force-unsafe-io\n")  # a root cut short is not kept
    debian = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "trixie", str(making)]
    pip = [PYTHON, "-m", "pip", "install", "--no-deps", "--no-compile", "--no-cache-dir"]
    with open(log, "w") as output:
        streams = {"stdout": output, "stderr": subprocess.STDOUT, "timeout": _MOST_SECONDS}
        _step("debootstrap", log, lambda: subprocess.run([*_NAMESPACES, *debian], **streams).returncode)
        shutil.copy("/etc/resolv.conf", making / "etc" / "resolv.conf")
        _step("python3 -m venv", log, lambda: inside(making, ["python3", "-m", "venv", "/venv"], **streams))
        listed = f"/tfmmrec/{REQUIREMENTS.relative_to(SOURCES)}"
        _step("pip install", log, lambda: inside(making, [*pip, "--requirement", listed], **streams))
    making.rename(root)
    print(f"Made in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _step(what: str, log: Path, run: Callable[[], int]) -> None:
    try:
        failed = f"exit status {status}" if (status := run()) else ""
    except subprocess.TimeoutExpired:
        failed = f"more than {_MOST_SECONDS} seconds"
    if failed:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise CannotMake(
            f"{what}: {failed}, such as for want of a mirror: {(lines or ['it says nothing'])[-1]}; see {log}"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
