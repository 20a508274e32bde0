"""Where settings come from: the command line, the configuration file, the files of discovery.

Reading blocks; the sidecar does it in a thread.
"""

import glob
import json
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from probe.contract.target import Target
from probe.sidecar.configuration.config import read_config
from probe.sidecar.configuration.config import with_keys
from probe.sidecar.configuration.discovery import read_discovery
from probe.sidecar.configuration.discovery import with_discovered
from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.fields import split_address
from probe.sidecar.configuration.settings import Emit
from probe.sidecar.configuration.settings import LogFormat
from probe.sidecar.configuration.settings import Settings
from probe.sidecar.configuration.settings import TargetSettings
from probe.sidecar.configuration.webconfig import WebConfig
from probe.sidecar.configuration.webconfig import read_web_config

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that we are ready to read."""


@dataclass(frozen=True, slots=True)
class Given:
    """The command line: None where the configuration file decides, or the default.

    `read_body` is for `targets`, which are synchronizers as far as anyone knows.
    """

    targets: tuple[str, ...] = ()
    read_body: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    """For `targets`: a target's keys in the configuration file, with their texts."""
    interval: float | None = None
    listen: str | None = None
    metrics_listen: str | None = None
    web_config: str | None = None
    log_format: LogFormat | None = None
    emit: Emit | None = None


Marks = tuple[tuple[str, int, int, int], ...]


class Reading(NamedTuple):
    """What was read, and the marks of the files of discovery before they were."""

    settings: Settings
    web_config: WebConfig
    seen: Marks


@dataclass(frozen=True, slots=True)
class Source:
    """Everything that settings are read from, again and again. `read` raises ConfigError."""

    given: Given
    config: str | None = None

    def read(self) -> Reading:
        base = read_config(_read(self.config), self.config) if self.config else Settings()
        settings = overlaid(base, self.given)
        defaults = settings.defaults or TargetSettings("", Target())
        seen = marks(settings.sd_files)  # first: what changes after this is news
        found = [
            target
            for path in _matching(settings.sd_files)
            for target in read_discovery(_read(path), path, defaults)
        ]
        return Reading(with_discovered(settings, found), self._read_web(settings), seen)

    def _read_web(self, settings: Settings) -> WebConfig:
        path = settings.listeners.web_config
        return read_web_config(_read(path), path) if path else WebConfig()


def to_text(source: Source) -> str:
    """Write a source down for another process; `from_text` reads it."""
    return json.dumps(asdict(source))


def from_text(text: str) -> Source:
    fields = json.loads(text)
    given = fields["given"]
    return Source(Given(**{**given, "targets": tuple(given["targets"])}), fields["config"])


def overlaid(settings: Settings, given: Given) -> Settings:
    """Return the settings with the command line put over them. Pure. Raises ConfigError."""
    defaults = settings.defaults or TargetSettings("", Target())
    if given.interval is not None:
        defaults = replace(defaults, interval=given.interval)
    listeners = settings.listeners
    return with_discovered(
        replace(
            settings,
            defaults=defaults,
            listeners=replace(
                listeners,
                main=given.listen or listeners.main,
                metrics=given.metrics_listen or listeners.metrics,
                web_config=given.web_config or listeners.web_config,
            ),
            log_format=given.log_format or settings.log_format,
            emit=given.emit or settings.emit,
        ),
        _given_targets(given, defaults),
    )


def _given_targets(given: Given, defaults: TargetSettings) -> list[TargetSettings]:
    """Return what --target and the options for it make. Raises ConfigError with every fault."""
    asked, targets, problems = replace(defaults, read_body=given.read_body), [], []
    try:
        asked = with_keys(asked, given.keys)
    except ConfigError as error:
        problems += error.problems
    for address in given.targets:
        try:
            host, port = split_address(address)
        except ValueError as error:
            problems.append(f"--target: {error}")
            continue
        target = Target(**{**vars(asked.target), "host": host, "port": port})
        targets.append(replace(asked, name=target.authority, target=target))
    if problems:
        raise ConfigError(problems)
    return targets


def marks(patterns: tuple[str, ...]) -> Marks:
    """Return what changes when a file of discovery does: name, inode, time and size of each."""
    return tuple(_marks(patterns))


def _marks(patterns: tuple[str, ...]) -> Iterator[tuple[str, int, int, int]]:
    for path in _matching(patterns):
        try:
            stat = Path(path).stat()
        except OSError:
            continue
        yield path, stat.st_ino, stat.st_mtime_ns, stat.st_size


def _matching(patterns: tuple[str, ...]) -> list[str]:
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})  # noqa: PTH207 # texts


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ConfigError([f"{path}: larger than {LARGEST} bytes"])
        return data.decode()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror or error}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: byte {error.start} is not UTF-8"]) from None
