"""Processes that push again and again, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import ROOT

PUSHER = """
import os, sys
from pathlib import Path
from tests.serving.published import write_slowly
from tfmmrec.serving import push
from tfmmrec.serving.blessing import Blessing
from tfmmrec.serving.policy import Policy

push.bless = lambda *arguments: Blessing(Policy(), ())
for line in sys.stdin:  # each a folder, a count and a pause; a child pushes there, so that TensorFlow is imported once
    to, count, pause, as_whom = line.split()
    child = os.fork()
    if not child:
        try:
            if as_whom == "nobody" and os.geteuid() == 0:
                os.seteuid(65534)  # what root may do tells nothing
            for number in range(int(count)):
                done = push.push_model(lambda folder: write_slowly(folder, float(pause)), to)
                print(os.getpid(), "pushed", done.version, flush=True)
        except Exception as error:
            print(os.getpid(), "failed", type(error).__name__, error, flush=True)
        os._exit(0)
    print(0, "child", child, flush=True)
"""


class Pushers:
    """Processes that push, started from one that has imported everything."""

    def __init__(self):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.parent = subprocess.Popen([sys.executable, "-c", PUSHER], text=True, env=environment, **pipes)
        self.lines = []

    def start(self, to, count, pause=0.0, as_whom="me") -> int:
        """Begins to push; the number of the process."""
        self.lines.clear()
        self.parent.stdin.write(f"{to} {count} {pause} {as_whom}\n")
        self.parent.stdin.flush()
        return int(self.said(0, "child"))

    def said(self, child, wanted) -> str:
        """The rest of a process's next line with a word: "pushed" VERSION, or "failed" and why."""
        begin = f"{child} {wanted} "
        while not (found := [line for line in self.lines if line.startswith(begin)]):
            line = self.parent.stdout.readline().strip()
            assert line, "the pushers have ended"
            self.lines.append(line)  # a child may speak before it is said to be there
        self.lines.remove(found[0])
        return found[0].removeprefix(begin)
