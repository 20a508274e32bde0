"""Whom an image runs its processes as, and what that user may open.

The names are looked up as runc does (libcontainer/user: GetExecUser): in the image's own passwd
and group, a number where it stands in neither.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import View
from probe.image.view import ViewError
from probe.image.view import parent_of

PASSWD = "/etc/passwd"  # noqa: S105 - a path
GROUP = "/etc/group"
MAX_ID = 2**31 - 1
"""The greatest uid or gid that runc takes."""
READ, WRITE, EXECUTE = 4, 2, 1
_MAX_FILE = 2**20
_NUMBER = re.compile(r"[0-9]{1,10}")
_PASSWD_FIELDS, _GROUP_FIELDS = 4, 4


class UserError(ValueError):
    """No engine can start the image: the user or the group is not to be found."""


@dataclass(frozen=True, slots=True)
class User:
    """One user; `groups` are the primary one and the others."""

    uid: int
    groups: frozenset[int]


def user_of(view: View) -> User:
    """Return the user of the image's config; root where it names none.

    Raises:
        UserError: a name that is not there, or a number that is too great.
    """
    name, _, group = (view.config.user if view.config else "").partition(":")
    row = _account(view, name or "0")
    uid = int(row[2]) if row else _number(name, PASSWD)
    if group:
        return User(uid, frozenset({_group(view, group)}))
    primary = int(row[3]) if row else 0
    return User(uid, frozenset({primary, *_memberships(view, row[0] if row else name)}))


def barrier(view: View, user: User, path: str, wanted: int) -> Entry | None:
    """Return what keeps *user* from doing with *path* what the bits of *wanted* say.

    That is a directory on the way that does not let him through, else the file itself; None where
    nothing does, or nothing is there. Links are followed. Capabilities are those of an engine's
    root: it passes by modes, but for EXECUTE.
    """
    entry = view.resolve(path)
    if entry is None:
        return None
    if user.uid == 0:
        barred = wanted & EXECUTE and entry.kind is Kind.FILE and not entry.mode & 0o111
        return entry if barred else None
    ways = (*_above(view, path), *_above(view, entry.path))
    shut = (one for one in ways if not _allows(one, user, EXECUTE))
    return next(shut, None if _allows(entry, user, wanted) else entry)


def _above(view: View, path: str) -> Iterator[Entry]:
    """Give the directories that a path runs through, the root first, links followed."""
    parents = []
    while path != "/":
        path = parent_of(path)
        parents.append(path)
    for parent in reversed(parents):
        if (entry := view.resolve(parent)) is not None:
            yield entry


def _allows(entry: Entry, user: User, wanted: int) -> bool:
    shift = 6 if entry.uid == user.uid else 3 if entry.gid in user.groups else 0
    return (entry.mode >> shift) & wanted == wanted


def _account(view: View, name: str) -> list[str] | None:
    """Return the first row of passwd that has the name, or the number in its place."""
    return next(
        (
            row
            for row in _rows(view, PASSWD, _PASSWD_FIELDS)
            if name in (row[0], row[2]) and _is_number(row[2]) and _is_number(row[3])
        ),
        None,
    )


def _group(view: View, name: str) -> int:
    for row in _rows(view, GROUP, _GROUP_FIELDS - 1):
        if name in (row[0], row[2]) and _is_number(row[2]):
            return int(row[2])
    return _number(name, GROUP)


def _memberships(view: View, name: str) -> Iterator[int]:
    for row in _rows(view, GROUP, _GROUP_FIELDS):
        if _is_number(row[2]) and name in row[3].split(","):
            yield int(row[2])


def _number(text: str, file: str) -> int:
    if not text:
        return 0
    if not _is_number(text):
        raise UserError(f"{text!r} is not in {file}")
    if int(text) > MAX_ID:
        raise UserError(f"{text} is above {MAX_ID}, the greatest that engines take")
    return int(text)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _rows(view: View, path: str, fields: int) -> list[list[str]]:
    """Return the rows of a file like passwd; those that are too short are passed over."""
    try:
        text = view.read(path, _MAX_FILE).decode(errors="replace")
    except ViewError:
        return []
    rows = (line.split(":") for line in text.splitlines() if not line.startswith("#"))
    return [row for row in rows if len(row) >= fields]
