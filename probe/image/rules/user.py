"""The user that an image's processes run as: who that is, and what he may not open."""

from collections.abc import Iterator
from collections.abc import Mapping

from probe.findings import Severity
from probe.image.facts.model import Facts
from probe.image.facts.model import Role
from probe.image.facts.model import Source
from probe.image.facts.users import EXECUTE
from probe.image.facts.users import READ
from probe.image.facts.users import User
from probe.image.facts.users import UserError
from probe.image.facts.users import barrier
from probe.image.facts.users import user_of
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Drawn
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind

_ACCOUNTS = "root:x:0:0:root:/root:/bin/bash\napp:x:1000:1000::/:/bin/false\n"
_FILES: Mapping[str, Drawn] = {"/app": static(), "/etc/passwd": Text(_ACCOUNTS, 0o644)}


def _drawn(user: str, **files: Drawn) -> Sketch:
    named = {f"/{name}": drawn for name, drawn in files.items()}
    return Sketch({**_FILES, **named}, ImageConfig(entrypoint=("/app",), user=user))


_GOOD = _drawn("65532:65532")


def known_user(facts: Facts) -> User | None:
    """Return the user; None without a config, or where no engine would find him."""
    try:
        return user_of(facts.view) if facts.config else None
    except UserError:
        return None


@rule(
    "user-unknown",
    Severity.ERROR,
    "no engine finds the user or the group that the image runs as",
    why="The container is refused before anything starts.",
    fix="write USER as numbers, such as 65532:65532, or put the name into /etc/passwd and the"
    " group into /etc/group",
    good=_drawn("app"),
    bad=_drawn("nobody-here"),
)
def user_unknown(facts: Facts) -> Iterator[Problem]:
    try:
        user_of(facts.view)
    except UserError as error:
        yield Problem("", f"USER {facts.config.user if facts.config else ''}: {error}")


@rule(
    "user-is-root",
    Severity.WARNING,
    "the image runs as root",
    why="Whoever takes the process over is root in the container, and Kubernetes' runAsNonRoot"
    " refuses the image.",
    fix="add USER 65532:65532, and let that user own what the application writes",
    good=_GOOD,
    bad=_drawn(""),
)
def user_is_root(facts: Facts) -> Iterator[Problem]:
    user = known_user(facts)
    if facts.config and user and user.uid == 0 and facts.started(Source.COMMAND):
        name = facts.config.user
        yield Problem("", f"USER {name} is root" if name else "there is no USER: it is root")


@rule(
    "user-not-numeric",
    Severity.WARNING,
    "the image's user is a name, not a number",
    why="Kubernetes' runAsNonRoot cannot tell from a name whether it is root, and refuses the pod:"
    " container has runAsNonRoot and image has non-numeric user.",
    fix="write the user's number",
    good=_GOOD,
    bad=_drawn("app"),
)
def user_not_numeric(facts: Facts) -> Iterator[Problem]:
    user = known_user(facts)
    name = facts.config.user.partition(":")[0] if facts.config else ""
    if user and user.uid != 0 and not name.isdecimal():
        yield Problem("", f"USER is {name}", f"write USER {user.uid}, which is the same user")


@rule(
    "user-may-not",
    Severity.ERROR,
    "the image's user may not open a file that it runs or reads",
    why="The engine starts everything as that user; the kernel answers `Permission denied`.",
    fix="set the modes where the image is made, as in COPY --chmod=0755",
    good=_GOOD,
    bad=_drawn("65532:65532", app=Program(interpreter=None, mode=0o700)),
)
def user_may_not(facts: Facts) -> Iterator[Problem]:
    user = known_user(facts)
    if user is None:
        return
    told = set()
    for path, wanted in _needed(facts):
        found = barrier(facts.view, user, path, wanted)
        if found is not None and found.path not in told:
            told.add(found.path)
            yield Problem(found.path, _refusal(found, path, user, wanted))


def _refusal(found: Entry, path: str, user: User, wanted: int) -> str:
    act = "run" if wanted & EXECUTE else "read"
    through = f" through to {path}" if found.kind is Kind.DIRECTORY else f" {act} it"
    verb = "pass" if found.kind is Kind.DIRECTORY else ""
    owner = f"mode {found.mode:04o}, owner {found.uid}:{found.gid}"
    return f"user {user.uid} may not{' ' + verb if verb else ''}{through} ({owner})"


def _needed(facts: Facts) -> Iterator[tuple[str, int]]:
    """Give what the command and the health check open for certain, and what for."""
    meant = _sourced(facts)
    for lookup in facts.lookups:
        certain = not (lookup.guarded or lookup.tolerated or lookup.source is Source.FILE)
        if lookup.role is Role.SOURCED and len(files := meant[lookup.by, lookup.line]) > 1:
            # `. "${folder:-./}functions.sh"` means one of several names, and may mean one file.
            certain = len(set(files)) == 1
        if lookup.found is None or not certain:
            continue
        runs = lookup.role is not Role.SOURCED
        yield lookup.found, EXECUTE if runs else READ
        if lookup.found in facts.scripts:
            yield lookup.found, READ
    for node in facts.closure.nodes:
        if node.path not in facts.programs:
            yield node.path, READ


def _sourced(facts: Facts) -> dict[tuple[str, int], list[str | None]]:
    """Return the files that each line of a script may mean to read."""
    found: dict[tuple[str, int], list[str | None]] = {}
    for lookup in facts.lookups:
        if lookup.role is Role.SOURCED:
            found.setdefault((lookup.by, lookup.line), []).append(lookup.found)
    return found


RULES: tuple[Rule, ...] = (user_unknown, user_is_root, user_not_numeric, user_may_not)
