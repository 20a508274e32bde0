"""Schedules: at which second the mock changes its mode, or what its backend and Redis do.

    - at: 0s
      mode: healthy
    - at: 10s
      mode: hang
    - at: 20s
      mode: healthy
      backend: refused

To start over, `repeat: 60s` beside the list, which is then called `schedule`. Seconds are real
ones, whatever the time scale of the model.
"""

import asyncio
import re
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.error import YAMLError

from probe.mock.faults import Mode
from probe.mock.faults import ModeError
from probe.mock.faults import StepsError
from probe.mock.faults import mode_named
from probe.mock.running import CONDITIONS

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_KEYS = ("at", "mode", "script", *CONDITIONS)


class ScheduleError(ValueError):
    """Not a schedule: all faults, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Entry:
    """What changes at a time; what is None stays as it is."""

    at: float
    mode: Mode | None = None
    backend: str | None = None
    redis: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    entries: tuple[Entry, ...]
    repeat: float | None = None

    def changes(self) -> Iterator[tuple[float, Entry]]:
        """Yield each entry with its seconds since the beginning; for ever, if it repeats."""
        began = 0.0
        while True:
            for entry in self.entries:
                yield began + entry.at, entry
            if self.repeat is None:
                return
            began += self.repeat


async def follow(
    schedule: Schedule,
    change: Callable[[Entry], Awaitable[None]],
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Make the changes at their times."""
    began = clock()
    for at, entry in schedule.changes():
        await sleep(max(0.0, began + at - clock()))
        await change(entry)


def read_schedule(text: str) -> Schedule:
    """Return the schedule that the YAML text holds, or raise ScheduleError with every fault."""
    faults: list[str] = []
    raw = _loaded(text)
    raw_entries, raw_repeat = _parts(raw, faults)
    entries = [
        entry
        for index, item in enumerate(raw_entries)
        if (entry := _read_entry(item, f"[{index}]", faults)) is not None
    ]
    repeat = None if raw_repeat is None else _read_seconds(raw_repeat, "repeat", faults)
    _check_times(entries, repeat, faults)
    if faults:
        raise ScheduleError(faults)
    return Schedule(tuple(entries), repeat)


def _loaded(text: str) -> object:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ScheduleError([f"{place}{error.problem or 'not YAML'}"]) from error
    except YAMLError as error:
        raise ScheduleError([f"not YAML: {error}"]) from error


def _parts(raw: object, faults: list[str]) -> tuple[list[object], object]:
    parts = raw if isinstance(raw, Mapping) else {"schedule": raw}
    known = ("schedule", "repeat")
    faults += [f"{key}: unknown: {', '.join(known)}" for key in parts if key not in known]
    entries, repeat = map(parts.get, known)
    if not isinstance(entries, list) or not entries:
        faults.append("a schedule is a list of entries: `- at: 10s`, `  mode: hang`")
        return [], repeat
    return entries, repeat


def _read_entry(raw: object, place: str, faults: list[str]) -> Entry | None:
    if not isinstance(raw, Mapping):
        faults.append(f"{place}: {raw!r} is not an entry with {', '.join(_KEYS)}")
        return None
    faults += [f"{place}.{key}: unknown: {', '.join(_KEYS)}" for key in raw if key not in _KEYS]
    if not raw.keys() & {"mode", *CONDITIONS}:
        faults.append(f"{place}: nothing to change: {', '.join(_KEYS[1:])}")
    conditions = {
        name: _read_condition(name, raw[name], f"{place}.{name}", faults)
        for name in CONDITIONS
        if name in raw
    }
    at = _read_seconds(raw.get("at"), f"{place}.at", faults)
    return Entry(at or 0.0, _read_mode(raw, place, faults), **conditions)


def _read_mode(raw: Mapping[object, object], place: str, faults: list[str]) -> Mode | None:
    if "mode" not in raw:
        faults += [f"{place}.script: belongs to mode: script"] if "script" in raw else []
        return None
    try:
        return mode_named(raw["mode"], raw.get("script"))
    except StepsError as error:
        faults += [f"{place}.{fault}" for fault in error.faults]
    except ModeError as error:
        faults.append(f"{place}.mode: {error}")
    return None


def _read_condition(name: str, value: object, place: str, faults: list[str]) -> str | None:
    """YAML reads `backend: 500` as a number."""
    allowed = CONDITIONS[name]
    text = str(value) if isinstance(value, str | int) else None
    if text not in allowed:
        faults.append(f"{place}: {value!r} is none of {', '.join(allowed)}")
    return text


def _read_seconds(value: object, place: str, faults: list[str]) -> float | None:
    text = str(value) if isinstance(value, str | int | float) else ""
    if (found := _DURATION.fullmatch(text)) is None:
        faults.append(f"{place}: {value!r} is no time: 500ms, 10s, 1.5m, 1h")
        return None
    return float(found[1]) * _SECONDS[found[2]]


def _check_times(entries: Sequence[Entry], repeat: float | None, faults: list[str]) -> None:
    for index, (before, entry) in enumerate(pairwise(entries), 1):
        if entry.at < before.at:
            faults.append(f"[{index}].at: {entry.at:g}s is before {before.at:g}s")
    if repeat is not None and entries and repeat <= entries[-1].at:
        faults.append(f"repeat: {repeat:g}s is not after the last entry, {entries[-1].at:g}s")
