"""The image: its size, how fast it is built and audited, and the closure beside its peers."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from probe.image.archives.root_view import RootView
from probe.image.builder import Recipe
from probe.image.builder import Request
from probe.image.builder import Sources
from probe.image.builder import build
from probe.image.loader.closure import closure
from probe.manifests.spec import Kind
from tests.bench.process import Command
from tests.bench.process import interleave
from tests.bench.shell import walls
from tests.bench.tables import milliseconds
from tests.bench.tables import table
from tests.support.application import compile_application

_BIN = Path(sys.executable).parent
_PROBE, _SYFT = str(_BIN / "probe"), str(_BIN / "syft")
_BINARY_SIZE = 37_285_756
"""split-sync 5.12.4 as upstream builds it; what pads our stand-in does not compress."""
_CURL = "/usr/bin/curl"
_PEERS: dict[str, Command] = {
    "`ldd`": ["/usr/bin/ldd", _CURL],
    "`lddtree`": ["/usr/bin/lddtree", _CURL],
}
_SLOW = 20
"""These take some hundred times as long as a check, so a round has fewer runs of them."""
_PROMISED = {"root": 4.2e6, "audit of our image": 0.8, "audit of Debian": 5.0, "build": 3.0}
_CLOSURE_PROMISED = 0.15


def _program(folder: Path) -> Path:
    path = compile_application(folder / "split-sync")
    with path.open("ab") as file:
        file.write(os.urandom(_BINARY_SIZE - file.tell()))
    return path


def _debian(folder: Path) -> Path:
    """Make a Debian root of some 150 MB, as people base their images on."""
    archive = folder / "debian.tar"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(archive)]
    subprocess.run(command, check=True, timeout=300)
    return archive


def _commands(folder: Path) -> dict[str, Command]:
    program, image, debian = str(_program(folder)), str(folder / "image.tar"), _debian(folder)
    build_image = [_PROBE, "image", "build", "--binary", program, "-o", image]
    subprocess.run(build_image, check=True, timeout=60, capture_output=True)
    quiet = ["-q", "-o", "json", f"--file={folder / 'syft.json'}"]
    return {
        "build": build_image,
        "audit of our image": [_PROBE, "image", "audit", image],
        "syft on our image": [_SYFT, f"docker-archive:{image}", *quiet],
        "audit of Debian": [_PROBE, "image", "audit", str(debian)],
        "syft on Debian": [_SYFT, f"file:{debian}", *quiet],
    }


def _closure_seconds(view: object, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        closure(view, [_CURL])  # type: ignore[arg-type]
        taken.append(time.perf_counter() - began)
    return taken


def _root_size(folder: Path) -> int:
    recipe = Recipe(Kind.SYNC, "split-sync")
    request = Request(Sources(str(folder / "split-sync")), str(folder / "small.tar"), recipe)
    return build(request, judge=lambda _: []).root_size


def _figure(name: str, seconds: float) -> list[str]:
    promised = _PROMISED.get(name)
    return [name, milliseconds(seconds), f"{promised * 1000:g}" if promised else ""]


def report(rounds: int, runs: int) -> Iterator[str]:
    """Yield the tables' lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = interleave(_commands(folder), rounds, max(1, runs // _SLOW // 5))
        size = _root_size(folder)
    others = interleave(_PEERS, rounds, max(1, runs // _SLOW))
    with RootView("/", ("/etc/ld.so.conf.d",)) as view:
        ours = _closure_seconds(view, rounds * 4)
    yield f"### `probe image` ({rounds} interleaved rounds, medians)"
    yield ""
    yield f"Root without the application: {size / 1e6:.2f} MB (promised {_PROMISED['root'] / 1e6})."
    yield ""
    rows = [_figure(name, statistics.median(walls(taken))) for name, taken in measured.items()]
    yield from table(["program", "wall ms", "promised"], rows)
    yield ""
    medians = {name: statistics.median(walls(taken)) for name, taken in others.items()}
    lines = [["closure of curl, in a process", milliseconds(statistics.median(ours)),
              f"{_CLOSURE_PROMISED * 1000:g}"]]  # fmt: skip
    lines += [[name, milliseconds(seconds), ""] for name, seconds in medians.items()]
    yield from table(["closure of curl", "wall ms", "promised"], lines)
    yield ""
