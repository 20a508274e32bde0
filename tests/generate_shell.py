"""Writes the flag block of shell/functions.sh from the settings: `python -m tests.generate_shell`.

A test looks for a difference. The block stands between `# generated: flags` and `# end`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from probe.synchronizer.settings import SECRET
from probe.synchronizer.settings import SETTINGS
from probe.synchronizer.settings import URLS
from probe.synchronizer.settings import Setting

FILE = Path(__file__).resolve().parent.parent / "shell" / "functions.sh"


def variable(setting: Setting) -> str:
    """Return the name of the setting's variable behind the prefix."""
    return setting.flag.upper().replace("-", "_")


def kind_of_value(setting: Setting) -> str:
    """Return how functions.sh checks and shows the value."""
    if setting.flag in SECRET:
        return "secret"
    if setting.flag.endswith("-port"):
        return "port"
    return "string" if setting.type == "list" else setting.type


def _lines() -> Iterator[str]:
    yield "flags_of() {"
    yield f"  urls=({' '.join(URLS)})"
    yield "  case $1 in"
    for kind, settings in SETTINGS.items():
        yield f"    {kind})"
        yield "      rows=("
        for row in settings:
            yield f"        '{row.flag} {variable(row)} {kind_of_value(row)}'"
        yield "      )"
        yield "      ;;"
    yield "  esac"
    yield "}"


def generate(text: str) -> str:
    """Return *text* with the block written anew."""
    return re.sub(
        r"(?ms)(^# generated: flags\n).*?(^# end$)",
        lambda found: found[1] + "\n".join(_lines()) + "\n" + found[2],
        text,
    )


if __name__ == "__main__":
    FILE.write_text(generate(FILE.read_text(encoding="ascii")), encoding="ascii")
