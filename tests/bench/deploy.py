"""Generating and wiring manifests against what one would do by hand with kubectl and helm."""

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.process import Command
from tests.bench.process import interleave
from tests.bench.shell import walls
from tests.bench.tables import Ratio
from tests.bench.tables import milliseconds
from tests.bench.tables import ratios
from tests.bench.tables import table

_ROOT = Path(__file__).resolve().parents[2]
_BIN = Path(sys.executable).parent
_LONG = 40
"""These programs take a hundred times as long as a check, so a round has fewer runs of them."""
_EXAMPLES = "every example of deploy/"
_WIRED = "`probe wire`, a Deployment"
_PATCHED = "`kubectl patch --local` of the same"
_MADE = "`probe generate helm`"
_CREATED = "`helm create`"

_PATCH = {
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {"name": "app", "livenessProbe": {"exec": {"command": ["/healthcheck.sh"]}}}
                ]
            }
        }
    }
}
_DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  selector:
    matchLabels: {app: app}
  template:
    metadata:
      labels: {app: app}
    spec:
      containers:
        - name: app  # ours
          image: example/split-sync:1
"""


def _programs(folder: Path) -> dict[str, Command]:
    probe, kubectl, helm = (str(_BIN / name) for name in ("probe", "kubectl", "helm"))
    file = folder / "deployment.yaml"
    file.write_text(_DEPLOYMENT, encoding="utf-8")
    patch = ["-p", json.dumps(_PATCH), "-o", "yaml"]
    chart = ["--image", "a:1", "-o", str(folder / "ours")]
    return {
        _EXAMPLES: [probe, "generate", "all", "--spec", str(_ROOT / "deploy/examples.yaml"),
                    "-o", str(folder / "all")],
        _MADE: [probe, "generate", "helm", *chart],
        _CREATED: [helm, "create", str(folder / "theirs")],
        _WIRED: [probe, "wire", "--diff", str(file)],
        _PATCHED: [kubectl, "patch", "--local", "-f", str(file), *patch],
    }  # fmt: skip


def report(rounds: int, runs: int) -> Iterator[str]:
    """Yield the tables' lines."""
    with tempfile.TemporaryDirectory() as folder:
        measured = interleave(_programs(Path(folder)), rounds, max(1, runs // _LONG))
    yield f"### `probe generate` and `probe wire` ({rounds} interleaved rounds, medians)"
    yield ""
    medians = {name: walls(taken) for name, taken in measured.items()}
    rows = [[name, milliseconds(statistics.median(taken))] for name, taken in medians.items()]
    yield from table(["program", "wall ms"], rows)
    pairs = {
        "wire / kubectl patch": (_WIRED, _PATCHED),
        "generate helm / helm create": (_MADE, _CREATED),
    }
    found = [
        Ratio(what, [a / b for a, b in zip(medians[ours], medians[theirs], strict=True)], 8.0)
        for what, (ours, theirs) in pairs.items()
    ]
    yield from ratios(
        [*found, Ratio("every example / 3 s", [s / 3 for s in medians[_EXAMPLES]], 1)]
    )
