"""What can be wrong with what a program loads, and how it is said."""

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from probe.image.elf.reader import Elf


class FaultKind(StrEnum):
    """What is wrong."""

    MISSING = "missing library"
    INTERPRETER = "missing interpreter"
    MISMATCH = "wrong class or machine"
    VERSION = "version not provided"
    NSS = "nss module missing"
    DLOPEN = "dlopen library missing"
    """One that the file's own note calls required."""
    DLOPEN_OPTIONAL = "optional dlopen library missing"
    PRELOAD = "preload missing"
    NOT_CACHED = "not in the cache"
    CACHE_STALE = "cache stale"
    UNREADABLE = "unreadable"


NEVER_FATAL = frozenset(
    {
        FaultKind.NSS,
        FaultKind.DLOPEN,
        FaultKind.DLOPEN_OPTIONAL,
        FaultKind.PRELOAD,
        FaultKind.CACHE_STALE,
    }
)
"""With these alone a program starts."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What the loader would complain of: `subject` is the name that is at fault.

    `chain` leads from the entry to `by`, the file that asks. `fatal` says that the program does
    not start; with the others it runs until it needs what is lacking, if ever. `searched` are the
    directories that were looked in, in order, there or not (and ld.so.cache in its place), where
    nothing of the name was found. `database` of nsswitch.conf asks for a module
    (kind NSS): of several passwd, group or hosts, which programs look up most.
    """

    kind: FaultKind
    subject: str
    by: str
    chain: tuple[str, ...]
    detail: str
    fatal: bool
    searched: tuple[str, ...] = ()
    database: str = ""


def mismatch(opened: str, elf: Elf, program: str, wanted: Elf) -> str:
    return f"{opened} is for {_machine(elf)}, {program} for {_machine(wanted)}"


def _machine(elf: Elf) -> str:
    return elf.architecture or f"machine {elf.machine} ({elf.bits} bits, {elf.byteorder})"


def nothing_found(name: str, by: str, databases: Sequence[str]) -> str:
    if databases:
        return f"nsswitch.conf asks for {name} for {', '.join(databases)}"
    if "/" in name:
        return f"{name} is not there, and {by} asks for it by this path"
    return f"{name} is in no directory that is searched for {by}"


def too_old(by: str, wanted: str, path: str, given: Iterable[str]) -> str:
    """Say how far the library goes in the version's family: GLIBC_ of GLIBC_2.38."""
    family, _ = _split(wanted)
    numbers = [number for kin, number in map(_split, given) if kin == family and number]
    if not numbers:
        return f"{by} needs {wanted}, {path} has none of {family}"
    # parts as text, because int() refuses digits by the thousand
    highest = max(numbers, key=lambda number: [(len(part), part) for part in number.split(".")])
    return f"{by} needs {wanted}, {path} has up to {family}{highest}"


def _split(version: str) -> tuple[str, str]:
    family = version.rstrip("0123456789.")
    return family, version[len(family) :]
