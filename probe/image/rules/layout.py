"""How the tree is put together: the links of /usr, links that lead nowhere, devices."""

import re
from collections.abc import Iterator
from posixpath import join
from posixpath import normpath

from probe.findings import Severity
from probe.image.facts.model import DEFAULT_PATH
from probe.image.facts.model import Facts
from probe.image.rules.rule import Problem
from probe.image.rules.rule import Rule
from probe.image.rules.rule import rule
from probe.image.rules.wording import some
from probe.image.sketch import Device
from probe.image.sketch import Link
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import Entry
from probe.image.view import Kind
from probe.image.view import View
from probe.image.view import parent_of

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@rule(
    "usr-merge-split",
    Severity.WARNING,
    "a directory of the root stands where its siblings are links into /usr",
    why="In a usr-merged system /lib is a link to usr/lib. A COPY to /lib/FILE from a stage without"
    " the link puts a directory in its place, and what was found through the link is hidden:"
    " half of the libraries are in /lib, half in /usr/lib.",
    fix="copy to the place below /usr, and keep the link",
    good=Sketch(
        {
            "/bin": Link("usr/bin"),
            "/lib": Link("usr/lib"),
            "/usr/bin/app": static(),
            "/usr/lib/liba.so": Text(""),
        }
    ),
    bad=Sketch(
        {
            "/bin": Link("usr/bin"),
            "/lib/liba.so": Text(""),
            "/usr/bin/app": static(),
            "/usr/lib/libb.so": Text(""),
        }
    ),
)
def usr_merge_split(facts: Facts) -> Iterator[Problem]:
    view = facts.view
    merged = [name for name in _MERGED if _leads_into_usr(view, name)]
    if not merged:
        return
    for name in _MERGED:
        top, below = view.lstat(f"/{name}"), view.lstat(f"/usr/{name}")
        if _holds_files(view, top) and _holds_files(view, below):
            yield Problem(
                f"/{name}",
                f"is a directory beside /usr/{name}, while /{merged[0]} is a link to"
                f" usr/{merged[0]}",
            )


def _leads_into_usr(view: View, name: str) -> bool:
    entry = view.lstat(f"/{name}")
    return (
        entry is not None
        and entry.kind is Kind.SYMLINK
        and normpath(join("/", entry.target or "")) == f"/usr/{name}"
    )


def _holds_files(view: View, folder: Entry | None) -> bool:
    if folder is None or folder.kind is not Kind.DIRECTORY:
        return False
    start = folder.path + "/"
    return any(one.path.startswith(start) and _is_content(one) for one in view.entries())


def _is_content(entry: Entry) -> bool:
    return entry.kind in {Kind.FILE, Kind.SYMLINK}


_MULTIARCH = re.compile(r"(/usr)?/lib/[a-z0-9_]+-linux-[a-z0-9]+")
_LIBRARY_FOLDERS = {
    prefix + name for prefix in ("", "/usr", "/usr/local") for name in ("/lib", "/lib64", "/lib32")
}
_HOST = re.compile(r"/(home|Users|workspace|builds?|github|runner|mnt|media)/")
"""Where people and build services keep what they work on; an image's own files are elsewhere."""


@rule(
    "dangling-link",
    Severity.WARNING,
    "a link where programs or libraries are looked for leads to nothing",
    why="The link was copied and what it leads to was not: whoever asks for the name is told that"
    " it is not there.",
    fix="copy what the link leads to, or remove the link",
    good=Sketch({"/usr/bin/awk": Link("mawk"), "/usr/bin/mawk": static()}),
    bad=Sketch({"/usr/bin/awk": Link("/etc/alternatives/awk")}),
)
def dangling_link(facts: Facts) -> Iterator[Problem]:
    folders = _looked_in(facts)
    for link in _dangling(facts):
        if parent_of(link.path) in folders and not _escapes(link):
            yield Problem(link.path, f"is a link to {link.target}, which is not there")


@rule(
    "link-to-host",
    Severity.WARNING,
    "a link leads to a place on the machine that the image was built on",
    why="Links in an image are followed inside its root; what was meant lies outside, and is not"
    " there.",
    fix="copy the file itself (cp -L, or COPY of what the link leads to)",
    good=Sketch({"/app/config": Link("../etc/app"), "/etc/app": Text("")}),
    bad=Sketch({"/app/config": Link("../../../../home/me/app/config")}),
)
def link_to_host(facts: Facts) -> Iterator[Problem]:
    for link in _dangling(facts):
        if _escapes(link):
            yield Problem(link.path, f"is a link to {link.target}, which no image has")


def _looked_in(facts: Facts) -> set[str]:
    """Return the directories of commands and libraries, the links to them followed."""
    view = facts.view
    named = facts.environment.get("PATH", DEFAULT_PATH).split(":")
    ends: set[str] = set()
    for folder in (*named, *_LIBRARY_FOLDERS):
        entry = view.resolve(folder) if folder.startswith("/") else None
        if entry is not None:
            ends.add(entry.path)
    multiarch = (one.path for one in view.entries() if _MULTIARCH.fullmatch(one.path))
    return ends.union(multiarch)


def _dangling(facts: Facts) -> Iterator[Entry]:
    """Return the links to nothing; those into /proc, /dev, /run and /sys are filled at run time."""
    view = facts.view
    links = (one for one in view.entries() if one.kind is Kind.SYMLINK)
    return (one for one in links if not _is_filled_later(one) and view.resolve(one.path) is None)


def _lexical(link: Entry) -> str:
    return normpath(join(parent_of(link.path), link.target or ""))


_LATER = ("/proc/", "/dev/", "/sys/", "/run/", "/var/run/", "/tmp/")  # noqa: S108 - no file of ours


def _is_filled_later(link: Entry) -> bool:
    return (_lexical(link) + "/").startswith(_LATER) or link.path.startswith(_LATER)


def _escapes(link: Entry) -> bool:
    """Tell whether a link climbs above the root, or names a home or a builder's directory."""
    target = link.target or ""
    climbs = 0 if target.startswith("/") else target.count("../")
    return climbs > link.path.count("/") - 1 or bool(_HOST.match(_lexical(link)))


@rule(
    "device-node",
    Severity.WARNING,
    "the image holds a device",
    why="Engines fill /dev themselves. Elsewhere a device is a way to the kernel's driver past what"
    " the engine hands out, and engines without root cannot make it.",
    fix="leave it out; give the container a device with --device",
    good=Sketch({"/dev/null": Device()}),
    bad=Sketch({"/srv/disk": Device(0o660)}),
)
def device_node(facts: Facts) -> Iterator[Problem]:
    # What stands in /dev, as in roots made by debootstrap, is hidden by the engine's own.
    found = [
        entry.path
        for entry in facts.view.entries()
        if entry.device and not entry.path.startswith("/dev/")
    ]
    if found:
        yield Problem(found[0], f"devices: {some(found)}")


RULES: tuple[Rule, ...] = (usr_merge_split, dangling_link, link_to_host, device_node)
