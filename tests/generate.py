"""Writes what is generated from code: `make generate`; a test runs it and looks for a difference.

A generated block stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

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


if __name__ == "__main__":
    for file in FILES:
        file.write_text(generate(file.read_text(encoding="utf-8")), encoding="utf-8")
