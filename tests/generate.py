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
from probe.mock.faults import MODES

ROOT = Path(__file__).resolve().parent.parent
FILES = [ROOT / "README.md"]

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


BLOCKS: dict[str, Callable[[], Iterator[str]]] = {"reasons": _reasons, "modes": _modes}


def generate(text: str) -> str:
    """Return *text* with every generated block written anew."""
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: found[1] + "\n".join(BLOCKS[found[2]]()) + "\n" + found[3],
        text,
        flags=re.DOTALL,
    )


def generate_examples() -> None:
    """Write deploy/'s examples anew; those that are no longer made go."""
    deploy = ROOT / "deploy"
    for folder in filter(Path.is_dir, deploy.iterdir()):
        shutil.rmtree(folder)
    status = main(["generate", "all", "--spec", str(deploy / "examples.yaml"), "-o", str(deploy)])
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    generate_examples()
    for file in FILES:
        file.write_text(generate(file.read_text(encoding="utf-8")), encoding="utf-8")
