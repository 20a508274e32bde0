"""Arguments of the command that name files: the program's own text, and its configuration."""

import re
from collections.abc import Iterator
from posixpath import normpath

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig

_PATH = re.compile(r"(?:-[^=]*=)?(/[^\s:,;*?]+)")
_TEXTS = (".cjs", ".jar", ".js", ".mjs", ".php", ".pl", ".py", ".pyz", ".rb")
"""What an interpreter is given to run: it does not come later."""
_SETTINGS = (
    *(".cfg", ".cnf", ".conf", ".crt", ".hcl", ".ini", ".json"),
    *(".pem", ".properties", ".toml", ".xml", ".yaml", ".yml"),
)
"""What is often mounted when the container starts."""
_RUNTIME = ("/dev/", "/proc/", "/run/", "/sys/", "/tmp/", "/var/run/")  # noqa: S108 - of an image

_CONFIG = ImageConfig(entrypoint=("/app", "-c", "/etc/app.conf"), user="65532:65532")


@rule(
    "argument-missing",
    Severity.WARNING,
    "the command names a file that is not in the image",
    why="The application most likely ends at its start, unless the file is mounted before.",
    fix="put the file into the image, or mount it when the container starts",
    good=Sketch({"/app": static(), "/etc/app.conf": Text("a = 1\n", 0o644)}, _CONFIG),
    bad=Sketch({"/app": static()}, _CONFIG),
)
def argument_missing(facts: Facts) -> Iterator[Problem]:
    if facts.config is None:
        return
    mounted = (*_RUNTIME, *(f"{normpath(volume)}/" for volume in facts.config.volumes))
    for start in facts.starts:
        for word in start.words[1:]:
            found = _PATH.fullmatch(word)
            path = normpath(found[1]) if found else ""
            if not path.endswith((*_TEXTS, *_SETTINGS)) or path.startswith(mounted):
                continue
            if facts.view.resolve(path) is None:
                severity = Severity.WARNING if path.endswith(_TEXTS) else Severity.INFO
                message = f"the {start.source} names it, and it is not there"
                yield Problem(path, message, severity=severity)


RULES: tuple[Rule, ...] = (argument_missing,)
