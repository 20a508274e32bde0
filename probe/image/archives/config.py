"""An image's configuration."""

from typing import Any
from typing import Literal

from probe.image.archives.documents import labels
from probe.image.archives.documents import string
from probe.image.archives.documents import strings
from probe.image.archives.documents import typed
from probe.image.view import ImageConfig

_DURATIONS = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")


def _healthcheck(document: Any, what: str) -> dict[str, object] | None:
    found = typed(document, what, "Healthcheck", dict)
    if found is None:
        return None
    where = f"{what}: Healthcheck"
    checked: dict[str, object] = {}
    if "Test" in found:
        checked["Test"] = strings(found, where, "Test")
    for key in _DURATIONS:
        if (value := typed(found, where, key, int)) is not None:
            checked[key] = value
    return checked


def parse_config(document: object, image_format: Literal["docker", "oci"]) -> ImageConfig:
    """Read an image's configuration.

    Raises:
        ViewError: a field has a type that engines refuse as well.
    """
    what = "the image's configuration"
    run = typed(document, what, "config", dict) or {}
    environment = (item.partition("=") for item in strings(run, what, "Env"))
    return ImageConfig(
        entrypoint=tuple(strings(run, what, "Entrypoint", (list, str))),
        cmd=tuple(strings(run, what, "Cmd", (list, str))),
        env={name: value for name, _, value in environment},
        user=string(run, what, "User"),
        workdir=string(run, what, "WorkingDir"),
        volumes=tuple(sorted(typed(run, what, "Volumes", dict) or {})),
        exposed=tuple(sorted(typed(run, what, "ExposedPorts", dict) or {})),
        stop_signal=string(run, what, "StopSignal"),
        labels=labels(run, what, "Labels"),
        healthcheck=_healthcheck(run, what),
        shell=tuple(strings(run, what, "Shell")),
        architecture=string(document, what, "architecture"),
        os=string(document, what, "os"),
        format=image_format,
    )
