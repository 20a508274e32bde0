"""What was left in the image and is of no use there, or of use to the wrong people."""

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import basename

from probe.findings import Severity
from probe.image.facts.model import DEFAULT_PATH
from probe.image.facts.model import Facts
from probe.image.facts.model import Source
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.rules.wording import megabytes
from probe.image.rules.wording import some
from probe.image.sketch import Folder
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import Entry
from probe.image.view import ImageConfig
from probe.image.view import Kind
from probe.image.view import View
from probe.image.view import ViewError

_RUNS_APP = ImageConfig(entrypoint=("/app",), user="65532:65532")
_APP = {"/app": static()}

_SETUID, _SETGID, _STICKY = 0o4000, 0o2000, 0o1000
_GROUP_EXECUTES, _OTHERS_WRITE = 0o010, 0o002
_FILLED_LATER = ("/dev/", "/proc/", "/sys/")


def _entries(facts: Facts, kind: Kind) -> Iterator[Entry]:
    """Give the entries of a kind, but not those of what the kernel fills."""
    for entry in facts.view.entries():
        if entry.kind is kind and not entry.path.startswith(_FILLED_LATER):
            yield entry


@rule(
    "setuid-file",
    Severity.WARNING,
    "a program takes on another user's rights (setuid, setgid)",
    why="Whoever gets into the container can become root through a fault in it. Those that came"
    " with a package and that nothing here starts are only noted.",
    fix="remove it, or its bit (chmod u-s,g-s); run with no-new-privileges, which makes it void",
    good=Sketch({**_APP, "/usr/bin/su": static()}, _RUNS_APP),
    bad=Sketch({**_APP, "/usr/local/bin/helper": Text("", 0o4755)}, _RUNS_APP),
)
def setuid_file(facts: Facts) -> Iterator[Problem]:
    found = [entry for entry in _entries(facts, Kind.FILE) if _is_raised(entry.mode)]
    usual = [entry for entry in found if _is_usual(facts, entry.path)]
    for entries, severity in (
        ([entry for entry in found if entry not in usual], Severity.WARNING),
        (usual, Severity.INFO),
    ):
        if entries:
            told = some((f"{one.path} ({one.mode:04o})" for one in entries), 20)
            yield Problem(entries[0].path, f"setuid or setgid: {told}", severity=severity)


def _is_raised(mode: int) -> bool:
    # setgid without the group's execute bit means mandatory locking, and gives nobody rights.
    return bool(mode & _SETUID or (mode & _SETGID and mode & _GROUP_EXECUTES))


def _is_usual(facts: Facts, path: str) -> bool:
    started = facts.programs.get(path) in {Source.COMMAND, Source.HEALTHCHECK}
    return not started and facts.packages.owner(path) is not None


@rule(
    "world-writable",
    Severity.WARNING,
    "everyone may write to a file, or to a directory without the sticky bit",
    why="Any process of the container can put another file in its place.",
    fix="chmod o-w; a directory for temporary files has mode 1777",
    good=Sketch({**_APP, "/tmp": Folder(0o1777)}, _RUNS_APP),  # noqa: S108 - a drawing
    bad=Sketch({**_APP, "/data": Folder(0o777)}, _RUNS_APP),
)
def world_writable(facts: Facts) -> Iterator[Problem]:
    open_to_all = [
        entry
        for kind in (Kind.DIRECTORY, Kind.FILE)
        for entry in _entries(facts, kind)
        if entry.mode & _OTHERS_WRITE and not (kind is Kind.DIRECTORY and entry.mode & _STICKY)
    ]
    if open_to_all:
        told = some(f"{one.path} ({one.mode:04o})" for one in open_to_all)
        yield Problem(open_to_all[0].path, f"writable by everyone: {told}")


_MANAGERS = (
    *("apt-get", "dpkg", "apk", "dnf", "microdnf", "yum", "rpm", "zypper", "pacman", "opkg"),
    *("pip", "pip3", "npm", "yarn", "gem", "composer"),
)
_SHELLS = ("sh", "ash", "bash", "dash", "zsh", "ksh", "mksh", "fish")


def _in_path(facts: Facts, names: Iterable[str]) -> dict[str, str]:
    """Return, by the path that leads there, the files of such a name that PATH has."""
    folders = facts.environment.get("PATH", DEFAULT_PATH).split(":")
    found: dict[str, str] = {}
    for name in names:
        paths = (f"{folder}/{name}" for folder in folders if folder.startswith("/"))
        entries = ((path, facts.view.resolve(path)) for path in paths)
        first = next(((path, one.path) for path, one in entries if one is not None), None)
        if first is not None:
            found[first[0]] = first[1]
    return found


@rule(
    "package-manager-left",
    Severity.INFO,
    "the image has a package manager",
    why="Nothing installs at run time; for an intruder it is a tool, and it is often the reason why"
    " the rest of the system is there.",
    fix="copy what the application needs into an image of its own: probe image build",
    good=Sketch(_APP, _RUNS_APP),
    bad=Sketch({**_APP, "/usr/bin/apt-get": static()}, _RUNS_APP),
)
def package_manager_left(facts: Facts) -> Iterator[Problem]:
    found = {
        path: end for path, end in _in_path(facts, _MANAGERS).items() if not _is_started(facts, end)
    }
    if found:
        yield Problem(next(iter(found)), f"package managers: {some(found, len(_MANAGERS))}")


def _is_started(facts: Facts, path: str) -> bool:
    """Tell whether the config's own command needs it."""
    source = facts.programs.get(path)
    if source is None and path in facts.scripts:
        source = facts.scripts[path].source
    return source in {Source.COMMAND, Source.HEALTHCHECK}


@rule(
    "shell-left",
    Severity.INFO,
    "the image has a shell that nothing in it asks for",
    why="No script of the image runs in it, and no health check: it serves people and intruders.",
    fix="leave it out where no one is to get in; `docker exec` then needs another way in",
    good=Sketch({"/bin/sh": static(), "/run": Text("#!/bin/sh\n")}, ImageConfig(cmd=("/run",))),
    bad=Sketch({**_APP, "/bin/sh": static()}, _RUNS_APP),
)
def shell_left(facts: Facts) -> Iterator[Problem]:
    if facts.started(Source.COMMAND) is None:
        return
    found = {
        path: end for path, end in _in_path(facts, _SHELLS).items() if end not in facts.reached
    }
    if found:
        yield Problem(next(iter(found)), f"shells that nothing here runs: {some(found)}")


# Secrets --------------------------------------------------------------------------------------

_MAX_READ = 64 * 2**10
_MAX_LOOKED_AT = 2000
_KEY_NAMES = re.compile(r".*\.(key|pem)|id_(rsa|dsa|ecdsa|ed25519)|ssh_host_[a-z0-9]+_key")
_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY-----")
_PUBLIC_KEYS = re.compile(
    r"/(tests?|testdata|fixtures|examples?|docs?|demos?|(site|dist)-packages|node_modules)/"
    r"|snakeoil"
)
"""Keys that everybody has, or nobody uses: of test suites, examples, published packages."""


@rule(
    "private-key-left",
    Severity.WARNING,
    "the image holds a private key",
    why="Whoever can pull the image has the key, in whatever layer it stands.",
    fix="mount it at run time (a secret, a volume), and change the key: it counts as known",
    good=Sketch({"/etc/ssl/site.pem": Text("-----BEGIN CERTIFICATE-----\n", 0o644)}),
    bad=Sketch({"/root/.ssh/id_ed25519": Text("-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o600)}),
)
def private_key_left(facts: Facts) -> Iterator[Problem]:
    likely = (
        entry
        for entry in _entries(facts, Kind.FILE)
        if _KEY_NAMES.fullmatch(basename(entry.path)) and not _PUBLIC_KEYS.search(entry.path)
    )
    for entry, _ in zip(likely, range(_MAX_LOOKED_AT), strict=False):
        if _KEY.search(_head(facts.view, entry.path)) and not facts.packages.owner(entry.path):
            yield Problem(entry.path, "holds a private key")


def _head(view: View, path: str) -> bytes:
    try:
        return view.part(path, 0, _MAX_READ)
    except ViewError:
        return b""


@dataclass(frozen=True, slots=True)
class _Secret:
    """A file by the end of its path, and what in it is a secret."""

    path: str
    pattern: re.Pattern[bytes]
    what: str


_WORDS = r"PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|APIKEY|API_KEY|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY"
_URL_PASSWORD = re.compile(rb"://[^\s:/@]+:[^\s:/@]+@")
_SECRETS = (
    _Secret(
        "/.aws/credentials", re.compile(rb"aws_secret_access_key[ \t]*=[ \t]*\S"), "an AWS key"
    ),
    _Secret("/.docker/config.json", re.compile(rb'"auth"\s*:\s*"[^"]'), "a registry's password"),
    _Secret(
        "/.npmrc", re.compile(rb"_(auth|authToken|password)[ \t]*=[ \t]*[^\s$]"), "npm's token"
    ),
    _Secret("/.pypirc", re.compile(rb"(?m)^[ \t]*password[ \t]*[=:][ \t]*\S"), "PyPI's password"),
    _Secret("/.netrc", re.compile(rb"\bpassword\s+\S"), "passwords of servers"),
    _Secret("/.git-credentials", _URL_PASSWORD, "passwords of repositories"),
    _Secret("/.git/config", _URL_PASSWORD, "a repository's password"),
    _Secret("/.pgpass", re.compile(rb"(?m)^[^#\s][^\n]*:[^:\n]+$"), "a database's password"),
    _Secret(
        "/.my.cnf", re.compile(rb"(?m)^[ \t]*password[ \t]*=[ \t]*\S"), "a database's password"
    ),
    _Secret(
        "/.kube/config",
        re.compile(rb"(?m)^[ \t-]*(client-key-data|token|password):[ \t]*\S"),
        "access to a cluster",
    ),
    _Secret(
        "/application_default_credentials.json",
        re.compile(rb'"(refresh_token|private_key)"\s*:\s*"[^"]'),
        "access to Google Cloud",
    ),
    _Secret(
        "/.env",
        re.compile(
            rb"(?mi)^[ \t]*(export[ \t]+)?\w*("
            + _WORDS.encode()
            + rb")[ \t]*=[ \t]*['\"]?[^\s'\"$#]"
        ),
        "a secret",
    ),
)


@rule(
    "secret-left",
    Severity.WARNING,
    "a file of the image holds a password or token",
    why="Whoever can pull the image has it, even where a later layer removes the file.",
    fix="give it at run time, or at build time as a secret mount (RUN --mount=type=secret);"
    " change it: it counts as known",
    good=Sketch({"/app/.env": Text("PORT=3010\nTOKEN=${TOKEN}\n", 0o644)}),
    bad=Sketch({"/root/.netrc": Text("machine example.com login me password x\n", 0o600)}),
)
def secret_left(facts: Facts) -> Iterator[Problem]:
    ends = tuple(secret.path for secret in _SECRETS)
    likely = (entry for entry in _entries(facts, Kind.FILE) if entry.path.endswith(ends))
    for entry, _ in zip(likely, range(_MAX_LOOKED_AT), strict=False):
        data = _head(facts.view, entry.path)
        for secret in _SECRETS:
            if entry.path.endswith(secret.path) and secret.pattern.search(data):
                yield Problem(entry.path, f"holds {secret.what}")


_SECRET_NAME = re.compile(rf"(.*_)?({_WORDS})|SPLIT_(SYNC|PROXY)_APIKEY", re.IGNORECASE)
_NO_SECRET = re.compile(r"(\d{1,5}|true|false|yes|no|on|off|none|null|\$.*|/.*)?", re.IGNORECASE)
"""Switches, lifetimes, references to variables and paths of files: values that are not secret."""


@rule(
    "secret-in-environment",
    Severity.WARNING,
    "a variable of the image's config seems to hold a secret",
    why="It stands in the image's config in clear, for `docker inspect` and every registry.",
    fix="give it at run time, or its file (NAME_FILE, a mounted secret); change it",
    good=Sketch(_APP, ImageConfig(entrypoint=("/app",), env={"DB_PASSWORD_FILE": "/run/db"})),
    bad=Sketch(_APP, ImageConfig(entrypoint=("/app",), env={"DB_PASSWORD": "letmein"})),
)
def secret_in_environment(facts: Facts) -> Iterator[Problem]:
    for name, value in facts.environment.items():
        if _SECRET_NAME.fullmatch(name) and not _NO_SECRET.fullmatch(value):
            yield Problem("", f"the config sets {name} to a value that everybody can read")


@rule(
    "git-left",
    Severity.INFO,
    "a Git repository was copied into the image",
    why="Its history holds every file that was ever committed, what was removed for good reason"
    " included.",
    fix="list .git in .dockerignore",
    good=Sketch({"/app/main.py": Text("")}),
    bad=Sketch({"/app/.git/HEAD": Text("ref: refs/heads/main\n", 0o644)}),
)
def git_left(facts: Facts) -> Iterator[Problem]:
    for entry in _entries(facts, Kind.FILE):
        if entry.path.endswith("/.git/HEAD"):
            yield Problem(entry.path.removesuffix("/HEAD"), "is a Git repository with its history")


# Caches ---------------------------------------------------------------------------------------

_CACHES: Mapping[str, re.Pattern[str]] = {
    "apt's lists": re.compile(r"/var/lib/apt/lists/.+"),
    "apt's packages": re.compile(r"/var/cache/apt/.+"),
    "apk's cache": re.compile(r"/(var/cache|etc)/apk/.*(\.apk|APKINDEX.*)"),
    "dnf's cache": re.compile(r"/var/cache/(dnf|yum|libdnf5)/.+"),
    "caches of users": re.compile(r"/(root|home/[^/]+)/(\.cache|\.npm|\.cargo/registry)/.+"),
    "Go's build cache": re.compile(r"/go/pkg/mod/cache/.+"),
    "temporary files": re.compile(r"/(var/)?tmp/.+"),
}
_LEAST = 10**5
"""Bytes that are worth a word."""


@rule(
    "cache-left",
    Severity.INFO,
    "the image holds caches and temporary files of what built it",
    why="They make it larger to pull and are never read again.",
    fix="remove them in the same RUN that makes them, or build in a stage of its own",
    good=Sketch(_APP, _RUNS_APP),
    bad=Sketch({**_APP, "/var/lib/apt/lists/debian_Packages": Text("x" * _LEAST, 0o644)}),
)
def cache_left(facts: Facts) -> Iterator[Problem]:
    sizes: dict[str, int] = {}
    first = ""
    for entry in _entries(facts, Kind.FILE):
        name = next((name for name, one in _CACHES.items() if one.fullmatch(entry.path)), None)
        if name is not None:
            first = first or entry.path
            sizes[name] = sizes.get(name, 0) + entry.size
    if sum(sizes.values()) >= _LEAST:
        told = "; ".join(f"{name} {megabytes(size)}" for name, size in sizes.items() if size)
        yield Problem(first, f"left by what built the image: {told}")


RULES: tuple[Rule, ...] = (
    setuid_file,
    world_writable,
    package_manager_left,
    shell_left,
    private_key_left,
    secret_left,
    secret_in_environment,
    git_left,
    cache_left,
)
