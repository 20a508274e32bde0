"""Real scripts of this machine, by another grammar: shfmt's."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from probe.image.shell import BUILTINS
from probe.image.shell import KEYWORDS
from probe.image.shell import Dialect
from probe.image.shell import ScriptFacts
from probe.image.shell import parse_shebang
from probe.image.shell import read_script
from tests.support.components import missing

DIFFERENCES = {
    "/usr/bin/select-editor": "tree-sitter-bash ends a `for` inside `if` too early, so that"
    " backquotes with a blank behind them become text",
    "/usr/bin/xdg-mime": "in a long text `elif` becomes a word, and `then` behind it a command",
    "/usr/bin/zdiff": "`((` that opens two subshells, between many case patterns with brackets",
    "/usr/bin/zipgrep": "the end of backquotes on a continued line, behind IFS set to a newline",
}
"""Where the grammar loses commands, with its reason; no small piece of these does so alone."""


def _scripts() -> Iterator[Path]:
    for folder in ("/usr/bin", "/usr/sbin", "/etc/init.d"):
        for path in sorted(Path(folder).glob("*")):
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                with path.open("rb") as file:
                    head = file.read(2)
                if head == b"#!" and _dialect(path):
                    yield path


def _dialect(path: Path) -> Dialect | None:
    shebang = parse_shebang(path.read_bytes())
    return shebang.dialect if shebang else None


def _shfmt() -> str:
    beside = Path(sys.executable).with_name("shfmt")
    found = str(beside) if beside.exists() else shutil.which("shfmt")
    return found or missing("no shfmt", "make setup (it is in the lint group)")


def _literal(word: dict[str, Any]) -> str | None:
    """Return the text of a word of the oracle's tree; None where it is not constant."""
    text = ""
    for part in word.get("Parts", []):
        match part["Type"]:
            case "Lit":
                plain = re.sub(r"\\(\n|.)", lambda found: found[1].strip("\n"), part["Value"])
                text += plain
            case "SglQuoted" if not part.get("Dollar"):
                text += part.get("Value", "")
            case "DblQuoted" if (inner := _literal(part)) is not None:
                text += inner
            case _:
                return None
    return text


def _oracle(path: Path, dialect: Dialect) -> set[tuple[int, str]] | None:
    """Return line and name of each command with a constant name; None where shfmt cannot read."""
    language = "bash" if dialect is Dialect.BASH else "posix"
    command = [_shfmt(), "-ln", language, "--to-json"]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=False)
    if done.returncode:
        return None
    calls: set[tuple[int, str]] = set()
    functions: set[str] = set()
    stack: list[Any] = [json.loads(done.stdout)]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            stack += node.values()
            if node.get("Type") == "FuncDecl":
                functions.add(node["Name"]["Value"])
            if node.get("Type") == "CallExpr" and node.get("Args"):
                first = node["Args"][0]
                calls.add((first["Pos"]["Line"], _literal(first) or ""))
    own = BUILTINS[dialect] | KEYWORDS[dialect] | functions
    return {(line, name) for line, name in calls if name not in own and not _unnamed(name)}


def _unnamed(name: str) -> bool:
    return not name or name.startswith("~") or bool(re.search(r"[*?]", name))


def _missing(path: Path) -> set[tuple[int, str]]:
    facts = _facts(path)
    assert facts.dialect is not None
    wanted = _oracle(path, facts.dialect) or set()
    lost = wanted - {(call.line, call.name) for call in facts.calls if not call.via}
    assert facts.unread or not lost, (path, lost)
    return lost


@functools.cache
def _facts(path: Path) -> ScriptFacts:
    return read_script(path.read_bytes())


def test_real_scripts_against_another_grammar() -> None:
    """Every command that shfmt sees is found; the few that are not are told as unread."""
    scripts = list(_scripts())
    assert len(scripts) > 20
    with ThreadPoolExecutor(2) as pool:
        lost = dict(zip(map(str, scripts), pool.map(_missing, scripts), strict=True))
    assert {path: calls for path, calls in lost.items() if calls and path not in DIFFERENCES} == {}


def test_real_scripts_have_no_invented_commands() -> None:
    """A name that shfmt does not see comes from a variable: it stands in the text literally."""
    for path in _scripts():
        text = path.read_text(errors="replace")
        names = {Path(call.name).name for call in _facts(path).calls if call.name != "echo"}
        assert {name for name in names if name not in text} == set(), path
