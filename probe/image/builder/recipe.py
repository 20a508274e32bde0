"""What an image is to be: its kind, what we write into it, and its configuration.

Pure. The configuration is Docker's
(https://github.com/moby/docker-image-spec/blob/main/spec.md), which is OCI's
(https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md) and the health check.
"""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any

from probe.image.builder.errors import BuildError
from probe.image.builder.items import EXECUTABLE
from probe.image.builder.items import Item
from probe.image.builder.items import file
from probe.image.builder.items import folder
from probe.image.builder.items import link
from probe.manifests.command import call
from probe.manifests.spec import ADMIN_PORT
from probe.manifests.spec import NONROOT
from probe.manifests.spec import Delivery
from probe.manifests.spec import Kind
from probe.platforms.timings import Timings

BASH = "/bin/bash"
ENTRYPOINT = "/entrypoint.sh"
NSSWITCH = "/etc/nsswitch.conf"
DEFAULT_USER = f"{NONROOT}:{NONROOT}"
# libc has files and dns built in; any other word would make it look for a module.
NSSWITCH_TEXT = b"passwd: files\ngroup: files\nhosts: files dns\n"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROXY_PORT = 3000
_NANOSECONDS = 10**9
_START_INTERVAL = 2
"""Seconds between checks while the container starts: Docker 25 and later; others pass over it."""
_USER = re.compile(r"(0|[1-9][0-9]{0,8})(?::(0|[1-9][0-9]{0,8}))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
# https://github.com/distribution/reference: a name's parts in lower case, then the tag.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
)
_VARIANTS = {"arm64": "v8", "arm": "v7"}
"""What Debian's ports are: arm64 is ARMv8, armhf is ARMv7."""

_PROGRAMS = {Kind.SYNC: "split-sync", Kind.PROXY: "split-proxy"}
_PORTS = {Kind.SYNC: (ADMIN_PORT,), Kind.PROXY: (ADMIN_PORT, _PROXY_PORT)}
SCRIPTS = ("entrypoint.sh", "functions.sh", "healthcheck.sh")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What was asked for.

    `name` is the program's file name; `epoch` the time of everything in the image, in seconds
    since 1970; `entrypoint` puts the command into ENTRYPOINT, so that arguments are appended;
    `with_tmp` gives a writable /tmp, which the proxy has without being asked.

    Raises:
        BuildError: a value that no engine takes.
    """

    kind: Kind
    name: str
    user: str = DEFAULT_USER
    tag: str = ""
    with_sh: bool = False
    with_tmp: bool = False
    entrypoint: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0

    def __post_init__(self) -> None:
        if problems := tuple(_problems(self)):
            raise BuildError(*problems)

    @property
    def program(self) -> str:
        """The program's name in the image: the entrypoint looks for the synchronizers by theirs."""
        return _PROGRAMS.get(self.kind, self.name)

    @property
    def is_synchronizer(self) -> bool:
        return self.kind in _PROGRAMS

    @property
    def has_tmp(self) -> bool:
        """Whether there is a /tmp: the proxy keeps its database in it."""
        return self.with_tmp or self.kind is Kind.PROXY

    @property
    def created(self) -> str:
        """When, as RFC 3339 has it."""
        return datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def reference(self) -> str:
        """The tag as engines complete it; "" where there is none."""
        return (
            self.tag if not self.tag or ":" in self.tag.rpartition("/")[2] else f"{self.tag}:latest"
        )


def kind_of(name: str) -> Kind:
    """Tell what a program is by its file name."""
    return next((kind for kind, program in _PROGRAMS.items() if program == name), Kind.GENERIC)


def _problems(recipe: Recipe) -> Iterator[str]:
    if not _USER.fullmatch(recipe.user):
        yield (
            f"--user {recipe.user!r} is not UID or UID:GID in digits: "
            "Kubernetes' runAsNonRoot takes no name"
        )
    if not _NAME.fullmatch(recipe.name):
        yield f"--binary: the file name {recipe.name!r} has characters that commands need quoted"
    if recipe.tag and not _TAG.fullmatch(recipe.tag):
        yield f"--tag {recipe.tag!r} is no image name, such as split-sync:5.12.4"


# Files that we write ---------------------------------------------------------------------------


def written(recipe: Recipe, scripts: Mapping[str, str]) -> Iterator[Item]:
    """Yield what comes from no root; *scripts* are ours by file name."""
    uid, gid = _ids(recipe.user)
    yield file("/etc/passwd", _passwd(uid, gid).encode())
    yield file("/etc/group", _group(gid).encode())
    yield file(NSSWITCH, NSSWITCH_TEXT)
    for name in SCRIPTS if recipe.is_synchronizer else SCRIPTS[-1:]:
        yield file(f"/{name}", scripts[name].encode(), EXECUTABLE)
    if recipe.has_tmp:
        yield folder("/tmp", 0o1777)  # noqa: S108 - of the image


def shell_link(bash: str) -> Item:
    """Return `sh` beside bash, which acts as sh when it is called so."""
    where, _, name = bash.rpartition("/")
    return link(f"{where}/sh", name)


def _ids(user: str) -> tuple[int, int]:
    uid, _, gid = user.partition(":")
    return int(uid), int(gid or 0)


_NOBODY = 65534


def _passwd(uid: int, gid: int) -> str:
    lines = ["root:x:0:0:root:/:/bin/bash"]
    if uid not in {0, _NOBODY}:
        lines.append(f"nonroot:x:{uid}:{gid}:nonroot:/:/bin/bash")
    lines.append(f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/:/bin/bash")
    return "\n".join(lines) + "\n"


def _group(gid: int) -> str:
    lines = ["root:x:0:"]
    if gid not in {0, _NOBODY}:
        lines.append(f"nonroot:x:{gid}:")
    lines.append(f"nogroup:x:{_NOBODY}:")
    return "\n".join(lines) + "\n"


# The configuration -----------------------------------------------------------------------------


def configuration(
    recipe: Recipe, architecture: str, diff_id: str, program: str, *, healthcheck: bool
) -> dict[str, Any]:
    """Return the image's configuration; *diff_id* is the layer's digest, *program* its path.

    Without *healthcheck* it is one of OCI, which has no place for it.
    """
    command = [ENTRYPOINT] if recipe.is_synchronizer else [program]
    run: dict[str, Any] = {
        "User": recipe.user,
        "ExposedPorts": {f"{port}/tcp": {} for port in _PORTS.get(recipe.kind, ())},
        "Env": [f"{name}={value}" for name, value in _environment(recipe).items()],
        "Entrypoint": command if recipe.entrypoint else None,
        "Cmd": None if recipe.entrypoint else command,
        "Volumes": {"/tmp": {}} if recipe.has_tmp else None,  # noqa: S108 - likewise
        "WorkingDir": "/",
        "Labels": _labels(recipe),
        "StopSignal": "SIGTERM",
        "Healthcheck": _healthcheck() if healthcheck else None,
    }
    variant = {"variant": _VARIANTS[architecture]} if architecture in _VARIANTS else {}
    return {
        "created": recipe.created,
        "architecture": architecture,
        **variant,
        "os": "linux",
        "config": {key: value for key, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": recipe.created, "created_by": "probe image build"}],
    }


def _environment(recipe: Recipe) -> dict[str, str]:
    # bash warns of every locale but C where the image has none.
    found = {"PATH": _PATH, "LC_ALL": "C"}
    if recipe.is_synchronizer:
        found["GIN_MODE"] = "release"
    return found


def _labels(recipe: Recipe) -> dict[str, str]:
    own = {
        "org.opencontainers.image.title": recipe.program,
        "org.opencontainers.image.created": recipe.created,
    }
    return dict(sorted((own | dict(recipe.labels)).items()))


def _healthcheck() -> dict[str, Any]:
    """Return the health check, its timings those of `probe generate`.

    The script's own deadline, 3 s, ends before the engine's.
    """
    timings = Timings()
    times = {"Interval": timings.interval, "Timeout": timings.timeout}
    times |= {"StartPeriod": timings.start_period, "StartInterval": _START_INTERVAL}
    return {
        "Test": ["CMD", *call(Delivery.IMAGE, "")],
        **{key: round(value * _NANOSECONDS) for key, value in times.items()},
        "Retries": timings.retries,
    }
