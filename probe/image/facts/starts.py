"""What an image starts: its command, its health check, or, where it names none, all that it has."""

import re
from collections.abc import Iterator
from collections.abc import Sequence
from posixpath import dirname

from probe.image.elf.reader import is_elf
from probe.image.facts.model import Source
from probe.image.facts.model import Start
from probe.image.facts.names import EXECUTABLE
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import View
from probe.image.view import ViewError

_SHELL = ("/bin/sh", "-c")
_HEAD = 4
_LIBRARY = re.compile(r"\.so(\.[0-9.]+)?$")
_NOT_RUN = ("/var/lib/dpkg/", "/usr/share/doc/", "/usr/share/bug/")
"""What a package manager or a reader has, and no container runs: maintainer scripts, examples."""


def starts(view: View) -> Iterator[Start]:
    named = tuple(_named(view.config)) if view.config else ()
    yield from named or (Start(Source.FILE, (entry.path,)) for entry in _runnable(view))


def runnable_in(view: View, places: frozenset[str]) -> Iterator[Entry]:
    """Give the programs and scripts that stand in one of some directories."""
    real = {entry.path for place in places if (entry := view.resolve(place))}
    return (entry for entry in _runnable(view) if dirname(entry.path) in real)


def _named(config: ImageConfig) -> Iterator[Start]:
    words = (*config.entrypoint, *config.cmd)
    if words:
        yield Start(Source.COMMAND, words, shell_form=_is_shell_form(words, config))
    test = (config.healthcheck or {}).get("Test")
    if isinstance(test, Sequence) and not isinstance(test, str) and len(test) > 1:
        kind, *rest = (str(word) for word in test)
        if kind == "CMD":
            yield Start(Source.HEALTHCHECK, tuple(rest))
        elif kind == "CMD-SHELL":
            # Not the config's own shell: the engine takes /bin/sh here, whatever SHELL says.
            yield Start(Source.HEALTHCHECK, (*_SHELL, *rest), shell_form=True)


def _is_shell_form(words: Sequence[str], config: ImageConfig) -> bool:
    """Tell whether this is how Docker writes `CMD text`: shell, its options, one text."""
    shell = config.shell or _SHELL
    return len(words) == len(shell) + 1 and tuple(words[:-1]) == shell


def _runnable(view: View) -> Iterator[Entry]:
    for entry in view.entries():
        if entry.kind is not Kind.FILE or not entry.mode & EXECUTABLE or not entry.size:
            continue
        if entry.path.startswith(_NOT_RUN):
            continue
        head = head_of(view, entry.path)
        if head.startswith(b"#!") or (is_elf(head) and not _LIBRARY.search(entry.path)):
            yield entry


def head_of(view: View, path: str) -> bytes:
    """Return the bytes that tell what a file is; none where it cannot be read."""
    try:
        return view.part(path, 0, _HEAD)
    except ViewError:
        return b""
