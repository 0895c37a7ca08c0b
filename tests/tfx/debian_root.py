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
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]
REQUIREMENTS = HERE / "requirements.txt"
CANNOT = 77
PYTHON = "/venv/bin/python"
_PACKAGES = "python3,python3-venv,python3-dev,g++"
_LEAST_BYTES = 8 * 2**30
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
        root = made_root(roots())
    except CannotMake as reason:
        print(f"The tests of the TFX pipeline were NOT RUN: {reason}", file=sys.stderr)
        return 0 if where_possible else CANNOT
    return inside(root, command)


def roots() -> Path:
    """The folder of roots."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("TFX_ROOTS") or f"{cache}/tfmmrec/tfx")


def made_root(folder: Path) -> Path:
    """The root, made first where it is not there yet.

    Raises:
        CannotMake: it is not there and cannot be made.
    """
    if os.geteuid() != 0:
        raise CannotMake("a root is made and entered by root alone")
    for program in ("debootstrap", "unshare", "chroot", "setpriv"):
        if shutil.which(program) is None:
            raise CannotMake(f"no {program} is on the PATH")
    if not _succeeds(["unshare", "--mount", "--pid", "--fork", "true"]):
        raise CannotMake("this machine grants no namespaces (unshare)")
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + _PACKAGES.encode()).hexdigest()[:12]
    root = folder / digest
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            if shutil.disk_usage(folder).free < _LEAST_BYTES:
                raise CannotMake(f"{folder} has less than {_LEAST_BYTES >> 30} GiB free")
            for old in folder.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            making = folder / f"{digest}.making"
            _make(making)
            making.rename(root)
    return root


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
    return subprocess.run([*_namespaces(), *enter], env=environment, **streams).returncode


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
    print(f"Making a Debian 13 root with TFX in {root.parent} (4 GB, some minutes) ...", file=sys.stderr, flush=True)
    log = root.with_suffix(".log")
    with open(log, "w") as output:
        streams = {"stdout": output, "stderr": subprocess.STDOUT}
        (root / "etc" / "dpkg" / "dpkg.cfg.d").mkdir(parents=True)
        (root / "etc" / "dpkg" / "dpkg.cfg.d" / "quick").write_text("force-unsafe-io\n")  # a root cut short is not kept
        debian = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "trixie", str(root)]
        if subprocess.run([*_namespaces(), *debian], **streams).returncode:
            raise CannotMake(f"debootstrap failed, for want of a mirror or of rights: {_last_line(log)}; see {log}")
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        pip = [PYTHON, "-m", "pip", "install", "--no-deps", "--no-compile", "--no-cache-dir"]
        for step in (
            ["python3", "-m", "venv", "/venv"],
            [*pip, "--requirement", f"/tfmmrec/{REQUIREMENTS.relative_to(SOURCES)}"],
        ):
            if inside(root, step, **streams):
                raise CannotMake(f"{' '.join(step[:4])} failed, for want of an index: {_last_line(log)}; see {log}")
    print(f"Made in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _namespaces() -> list[str]:
    """What ends with this process, however that ends, and takes its processes and mounts along."""
    return ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
