"""Running a program many times with next to no cost of our own."""

import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Command = list[str]

# What a container gives a health check: no locale.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
# Python ignores these two, and a program started by exec would inherit that.
RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
FORKS = {"fork", "vfork", "clone", "clone3"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its exit code, seconds from spawn to reaped, CPU seconds of it and its children."""

    code: int
    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Calls:
    """System calls of one run, children included, and how many of them made a process."""

    total: int
    forks: int


@contextlib.contextmanager
def silence() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def run(command: Command, null: int) -> Run:
    """Run *command* once, with *null* as its stdin, stdout and stderr."""
    actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=actions, setsigdef=RESTORED)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    return Run(os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime)


def interleave(
    commands: Mapping[str, Command], rounds: int, runs: int
) -> dict[str, list[list[Run]]]:
    """Run each command *runs* times in each round, the commands taking turns run by run.

    So a burst of other load meets all of them alike; and shuffled, for what ran just before moves
    a figure by some 50 us.
    """
    turns = list(commands)
    measured: dict[str, list[list[Run]]] = {name: [] for name in commands}
    with silence() as null:
        for _ in range(rounds):
            for several in measured.values():
                several.append([])
            for _ in range(runs):
                random.shuffle(turns)
                for name in turns:
                    measured[name][-1].append(run(commands[name], null))
    return measured


def failures(rounds: Sequence[Sequence[Run]]) -> int:
    return sum(run.code != 0 for several in rounds for run in several)


def peak_memory(command: Command, runs: int = 5) -> float | None:
    """Return the median of the peak resident KiB, or None without a program that measures it.

    Not from wait4: what a process had before its exec counts there, which here is this Python.
    """
    if program := shutil.which("time"):
        prefix = [program, "-f", "%M"]
    elif program := shutil.which("busybox"):
        prefix = [program, "time", "-f", "%M"]
    else:
        return None
    return statistics.median(_measure_memory([*prefix, "-o"], command) for _ in range(runs))


def _measure_memory(prefix: Command, command: Command) -> int:
    return int(_noted(prefix, command).split()[-1])


def system_calls(command: Command) -> Calls | None:
    """Count with strace, which is not there on every machine."""
    if (strace := shutil.which("strace")) is None:
        return None
    counts: dict[str, int] = {}
    for line in _noted([strace, "-f", "-c", "-U", "calls,name", "-o"], command).splitlines():
        calls, _, name = line.strip().partition(" ")
        if calls.isdigit():
            counts[name.strip()] = int(calls)
    return Calls(counts.get("total", 0), sum(counts.get(name, 0) for name in FORKS))


def _noted(prefix: Command, command: Command) -> str:
    """Run *command* under a program whose last argument is the file for its notes; return them."""
    with tempfile.NamedTemporaryFile("r", encoding="ascii") as notes:
        subprocess.run(
            [*prefix, notes.name, *command],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return Path(notes.name).read_text(encoding="ascii")
