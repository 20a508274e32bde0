"""Writes what is generated from code: `make generate`; a test runs it and looks for a difference.

A generated block stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from probe.cli.app import main
from probe.contract.verdict import REASONS
from probe.contract.verdict import Verdict
from probe.image.rules import RULES
from probe.mock.faults import MODES

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
FILES = [ROOT / "README.md", DEPLOY / "image.md"]

# A reason whose line is more than its word, as it is shown.
SHOWN = {
    "status": "status 500",
    "usage": "usage: port '03010'",
    "no": "no /dev/tcp",
    "bash": "bash too old",
}


def _reasons() -> Iterator[str]:
    yield "| line | meaning |"
    yield "|---|---|"
    for word, meaning in REASONS.items():
        yield f"| `{Verdict(SHOWN.get(word, word)).line}` | {meaning} |"


def _modes() -> Iterator[str]:
    yield "| mode | what it does | verdict |"
    yield "|---|---|---|"
    for mode in MODES.values():
        yield f"| `{mode.name}` | {mode.doc} | `{mode.verdict}` |"


def _findings() -> Iterator[str]:
    yield "| code | at its gravest | what it says |"
    yield "|---|---|---|"
    for rule in RULES.values():
        yield f"| `{rule.code}` | {rule.severity} | {rule.title} |"


BLOCKS: dict[str, Callable[[], Iterator[str]]] = {
    "reasons": _reasons,
    "modes": _modes,
    "findings": _findings,
}


def generate(text: str) -> str:
    """Return *text* with every generated block written anew."""
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: found[1] + "\n".join(BLOCKS[found[2]]()) + "\n" + found[3],
        text,
        flags=re.DOTALL,
    )


# What `probe generate` is called with for the examples, the output last.
MONITORING = {
    "prometheus": (
        ["prometheus", "--sidecar", "127.0.0.1:9310", "--target", "127.0.0.1:3010",
         "--target-file", "targets/*.json"],
        ["prometheus", "--operator", "--workload", "split-sync"],
    ),
    "grafana": (["grafana"],),
}  # fmt: skip
# Folders of deploy/ that are written by hand.
OWN = {"sidecar"}


def generate_examples(folder: Path = DEPLOY) -> None:
    """Write deploy/'s examples anew; those that are no longer made go."""
    for old in filter(Path.is_dir, folder.iterdir()):
        if old.name not in OWN:
            shutil.rmtree(old)
    calls = [["all", "--spec", str(DEPLOY / "examples.yaml"), "-o", str(folder)]]
    calls += [
        [*call, "-o", str(folder / name)] for name, rows in MONITORING.items() for call in rows
    ]
    for call in calls:
        if status := main(["generate", *call]):
            raise SystemExit(status)


if __name__ == "__main__":
    generate_examples()
    for file in FILES:
        file.write_text(generate(file.read_text(encoding="utf-8")), encoding="utf-8")
