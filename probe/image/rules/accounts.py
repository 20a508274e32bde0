"""The small tables of /etc: who is who, where names are looked up, what engines mount over."""

from collections.abc import Iterator

from probe.findings import Severity
from probe.image.elf.reader import Libc
from probe.image.facts.model import Facts
from probe.image.facts.users import GROUP
from probe.image.facts.users import PASSWD
from probe.image.loader.nsswitch import services
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Program
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import library
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import ViewError

NSSWITCH = "/etc/nsswitch.conf"
_MAX_TABLE = 2**20
_FIELDS = {PASSWD: 7, GROUP: 4}
"""How many fields, parted by colons, a line has: passwd(5), group(5)."""
_USERS = "root:x:0:0:root:/root:/bin/bash\nnonroot:x:65532:65532::/home/nonroot:/bin/false\n"
_GROUPS = "root:x:0:\nnonroot:x:65532:\n"
_TABLES = {PASSWD: Text(_USERS, 0o644), GROUP: Text(_GROUPS, 0o644)}
_RUNS_APP = ImageConfig(entrypoint=("/app",), user="65532:65532")
_LOADED = {
    "/app": Program(("libc.so.6",)),
    "/lib64/ld-linux-x86-64.so.2": library("ld-linux-x86-64.so.2"),
    "/lib/x86_64-linux-gnu/libc.so.6": library("libc.so.6"),
}


def _rows(facts: Facts, path: str) -> Iterator[tuple[int, list[str]]]:
    """Give each line that is a row, by its number; comments and those of NIS (+, -) are none."""
    try:
        text = facts.view.read(path, _MAX_TABLE).decode("utf-8", "surrogateescape")
    except ViewError:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith(("#", "+", "-")):
            yield number, line.split(":")


def _fault(row: list[str], fields: int) -> str | None:
    if len(row) != fields:
        return f"{len(row)} fields where {fields} should be"
    if not row[0]:
        return "no name"
    # The third field is the uid in the one file, the gid in the other.
    return None if row[2].isascii() and row[2].isdecimal() else f"{row[2]!r} is no number"


@rule(
    "account-line-malformed",
    Severity.WARNING,
    "a line of passwd or group has not the fields that it should",
    why="libc passes such a line over and says nothing: the user or group is not there.",
    fix="passwd has name:x:uid:gid:comment:home:shell, group has name:x:gid:members",
    good=Sketch(_TABLES),
    bad=Sketch({**_TABLES, PASSWD: Text("root:x:0:0:root:/root\n", 0o644)}),
)
def account_line_malformed(facts: Facts) -> Iterator[Problem]:
    for path in (PASSWD, GROUP):
        for number, row in _rows(facts, path):
            if fault := _fault(row, _FIELDS[path]):
                yield Problem(path, f"line {number}: {fault}; it is passed over")


@rule(
    "account-twice",
    Severity.WARNING,
    "a name stands twice in passwd or group",
    why="The first line counts, so that what the second says (another uid, another home) does not"
    " hold.",
    fix="keep one line a name",
    good=Sketch(_TABLES),
    bad=Sketch({**_TABLES, GROUP: Text("app:x:1000:\napp:x:2000:\n", 0o644)}),
)
def account_twice(facts: Facts) -> Iterator[Problem]:
    for path in (PASSWD, GROUP):
        first: dict[str, int] = {}
        for number, row in _rows(facts, path):
            name = row[0]
            if first.setdefault(name, number) != number:
                yield Problem(path, f"line {number}: {name!r} again, after line {first[name]}")


@rule(
    "passwd-missing",
    Severity.WARNING,
    "there is no /etc/passwd",
    why="Programs that ask for their user's name or home directory are told that there is none:"
    " ssh and PostgreSQL's tools end, bash calls itself 'I have no name!', a config that names its"
    " user is refused by the engine.",
    fix="add a passwd and a group file with root and the user that the image runs as",
    good=Sketch({**_LOADED, **_TABLES}, _RUNS_APP),
    bad=Sketch(_LOADED, _RUNS_APP),
)
def passwd_missing(facts: Facts) -> Iterator[Problem]:
    if facts.programs and facts.view.resolve(PASSWD) is None:
        link = facts.view.lstat(PASSWD)
        if link is not None:
            yield Problem(PASSWD, f"is a link to {link.target}, which is not there")
        else:
            yield Problem(
                PASSWD,
                "is not there: no user has a name or a home",
                severity=Severity.INFO,
            )


def _is_glibc(facts: Facts) -> bool:
    return any(
        node.path in facts.programs and node.elf.libc is Libc.GLIBC for node in facts.closure.nodes
    )


@rule(
    "nsswitch-missing",
    Severity.INFO,
    "there is no /etc/nsswitch.conf",
    why="glibc then goes by what it was built with: since 2.34 `hosts: files dns`, as one would"
    " want, before that DNS first and /etc/hosts only where DNS does not answer.",
    fix="add /etc/nsswitch.conf with the lines `passwd: files`, `group: files`, `hosts: files dns`",
    good=Sketch({**_LOADED, NSSWITCH: Text("hosts: files dns\n", 0o644)}, _RUNS_APP),
    bad=Sketch(_LOADED, _RUNS_APP),
)
def nsswitch_missing(facts: Facts) -> Iterator[Problem]:
    if _is_glibc(facts) and facts.view.resolve(NSSWITCH) is None:
        yield Problem(NSSWITCH, "is not there: glibc looks names up in its own default order")


_ASKS_DNS = {"dns", "resolve"}
"""The second is systemd's, which asks the name servers itself."""


@rule(
    "hosts-lookup-partial",
    Severity.WARNING,
    "nsswitch.conf has hosts looked up without /etc/hosts or without DNS",
    why="Without `files` localhost and the names that the engine writes into /etc/hosts are not"
    " found, without `dns` no others are.",
    fix="write `hosts: files dns`",
    good=Sketch({**_LOADED, NSSWITCH: Text("hosts: files dns\n", 0o644)}, _RUNS_APP),
    bad=Sketch({**_LOADED, NSSWITCH: Text("hosts: dns\n", 0o644)}, _RUNS_APP),
)
def hosts_lookup_partial(facts: Facts) -> Iterator[Problem]:
    try:
        text = facts.view.read(NSSWITCH, _MAX_TABLE).decode("latin-1")
    except ViewError:
        return
    asked = {name for name, databases in services(text).items() if "hosts" in databases}
    if not asked or not _is_glibc(facts):
        return
    if "files" not in asked:
        yield Problem(NSSWITCH, "hosts are looked up without `files`: /etc/hosts is not read")
    if not _ASKS_DNS.intersection(asked):
        yield Problem(NSSWITCH, "hosts are looked up without `dns`: no name server is asked")


_MOUNTED = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
"""Files that Docker, containerd and Podman mount into every container."""


@rule(
    "mount-point-not-a-file",
    Severity.WARNING,
    "a directory stands where engines mount a file (/etc/hosts, /etc/resolv.conf, /etc/hostname)",
    why="A file cannot be mounted over a directory: the container does not start. Over a link that"
    " leads nowhere it is mounted at the link's end, which a tmpfs there (/run) hides.",
    fix="remove it: engines make the file",
    good=Sketch({"/etc/hosts": Text("127.0.0.1 localhost\n", 0o644)}),
    bad=Sketch({"/etc/hosts": Folder()}),
)
def mount_point_not_a_file(facts: Facts) -> Iterator[Problem]:
    for path in _MOUNTED:
        entry, end = facts.view.lstat(path), facts.view.resolve(path)
        if end is not None and end.kind is Kind.DIRECTORY:
            yield Problem(path, "is a directory; engines mount a file here and fail")
        elif entry is not None and end is None:
            yield Problem(
                path,
                f"is a link to {entry.target}, which is not there; what engines mount stands there",
                severity=Severity.INFO,
            )


_LOCALTIME = "/etc/localtime"
_UNIVERSAL = ("UTC", "UCT", "GMT", "Universal", "Zulu", "GMT0", "Greenwich")


@rule(
    "localtime-dangling",
    Severity.WARNING,
    "/etc/localtime is a link to a time zone that is not there",
    why="libc then takes UTC and says nothing.",
    fix="copy the zone's file from /usr/share/zoneinfo, or remove the link where UTC is meant",
    good=Sketch(
        {
            _LOCALTIME: Link("/usr/share/zoneinfo/Europe/Berlin"),
            "/usr/share/zoneinfo/Europe/Berlin": Text("TZif2", 0o644),
        }
    ),
    bad=Sketch({_LOCALTIME: Link("/usr/share/zoneinfo/Europe/Berlin")}),
)
def localtime_dangling(facts: Facts) -> Iterator[Problem]:
    entry = facts.view.lstat(_LOCALTIME)
    if entry is None or facts.view.resolve(_LOCALTIME) is not None:
        return
    target = entry.target or ""
    if target.rpartition("/")[2] not in _UNIVERSAL:
        yield Problem(_LOCALTIME, f"is a link to {target}, which is not there: the time is UTC")


RULES: tuple[Rule, ...] = (
    account_line_malformed,
    account_twice,
    passwd_missing,
    nsswitch_missing,
    hosts_lookup_partial,
    mount_point_not_a_file,
    localtime_dangling,
)
