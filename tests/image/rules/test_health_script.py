"""Our healthcheck.sh as an image's health check: recognised however it is called, and judged."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from probe import __version__
from probe.image.rules import environment
from probe.image.rules import health
from probe.image.rules import health_script
from probe.image.rules import locale
from probe.image.rules import running
from probe.image.rules import user
from probe.image.rules.health_script import RULES
from probe.image.rules.health_script import VERSION
from probe.image.rules.health_script import call_of
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Sketch
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from probe.scripts import inline
from probe.scripts import script_text
from tests.support.sketches import facts_of
from tests.support.sketches import told

CONFIG = ImageConfig(entrypoint=("/app",), user="65532:65532", format="docker")
FILES: Mapping[str, Drawn] = {
    "/app": static(),
    "/bin/bash": static(),
    "/bin/sh": Link("bash"),
    "/healthcheck.sh": Text(script_text()),
}
DASH: Mapping[str, Drawn] = {**FILES, "/bin/dash": static(), "/bin/sh": Link("dash")}
S = 10**9
SCRIPTS = ("entrypoint.sh", "functions.sh", "healthcheck.sh")
CALL = ("CMD", "/bin/bash", "-p", "/healthcheck.sh")


def image(
    *test: str,
    files: Mapping[str, Drawn] = FILES,
    timeout: int = 5,
    **env: str,
) -> Sketch:
    check = {"Test": list(test), "Interval": 10 * S, "Timeout": timeout * S}
    return Sketch(files, replace(CONFIG, healthcheck=check, env=env))


def with_file(path: str, drawn: Drawn) -> Mapping[str, Drawn]:
    return {**FILES, path: drawn}


CASES = [
    pytest.param(image(*CALL), [], id="by bash -p"),
    pytest.param(image("CMD", "/healthcheck.sh"), [], id="by its own #!"),
    pytest.param(image("CMD", "bash", "-p", "/healthcheck.sh"), [], id="bash out of PATH"),
    pytest.param(image("CMD", "/bin/bash", "-pc", inline(script_text()), "x"), [], id="inline"),
    pytest.param(image("CMD-SHELL", "/healthcheck.sh --timeout 4 || exit 1"), [], id="shell form"),
    pytest.param(image("CMD", "/app", "health"), [], id="another check"),
    pytest.param(image("CMD", "/bin/bash", "/other.sh"), [], id="another script"),
    pytest.param(image(*CALL, "--timeout=4s", "--log", "--no-tls"), [], id="good options"),
    pytest.param(
        image("CMD", "/bin/bash", "/healthcheck.sh"),
        ["warning health-check-without-p /healthcheck.sh"],
        id="bash without -p",
    ),
    pytest.param(
        image("CMD", "/bin/bash", "-c", inline(script_text())),
        ["warning health-check-without-p"],
        id="inline without -p",
    ),
    pytest.param(
        image("CMD-SHELL", "bash /healthcheck.sh"),
        ["warning health-check-without-p /healthcheck.sh"],
        id="shell form without -p",
    ),
    pytest.param(
        image(
            "CMD",
            "/healthcheck.sh",
            files=with_file("/healthcheck.sh", Text(f"#!/bin/bash\n# healthcheck {VERSION}\n")),
        ),
        ["warning health-check-without-p /healthcheck.sh"],
        id="its -p lost",
    ),
    pytest.param(
        image("CMD", "/bin/sh", "-p", "/healthcheck.sh", files=DASH),
        ["error health-check-not-by-bash /healthcheck.sh"],
        id="by dash",
    ),
    pytest.param(
        image(
            "CMD",
            "sh",
            "/healthcheck.sh",
            files={**FILES, "/bin/busybox": static(), "/bin/sh": Link("busybox")},
        ),
        [
            "error health-check-not-by-bash /healthcheck.sh",
            "warning health-check-without-p /healthcheck.sh",
        ],
        id="by busybox",
    ),
    pytest.param(image("CMD", "/bin/sh", "-p", "/healthcheck.sh"), [], id="by an sh that is bash"),
    pytest.param(
        image(
            "CMD",
            "/opt/check",
            files=with_file("/opt/check", Text("#!/bin/bash -p\n# healthcheck 0.0.9\n")),
        ),
        ["warning health-check-outdated /opt/check"],
        id="an old copy by another name",
    ),
    pytest.param(
        image(*CALL, "--timeout", "5"),
        ["warning health-check-killed-early /healthcheck.sh"],
        id="as long as Docker",
    ),
    pytest.param(
        image(*CALL, HEALTHCHECK_TIMEOUT="30"),
        ["warning health-check-killed-early /healthcheck.sh"],
        id="longer by the environment",
    ),
    pytest.param(
        image(*CALL, timeout=3),
        ["warning health-check-killed-early /healthcheck.sh"],
        id="the script's default",
    ),
    pytest.param(image(*CALL, "--timeout", "29", timeout=0), [], id="Docker's default is 30"),
    pytest.param(
        image(*CALL, SPLIT_PROXY_ADMIN_PORT="03010"),
        ["error health-check-refused /healthcheck.sh"],
        id="a port that is octal for the synchronizer",
    ),
    pytest.param(
        image(*CALL, "--timeout", "soon"),
        ["error health-check-refused /healthcheck.sh"],
        id="no number",
    ),
    pytest.param(
        image(*CALL, "--verbose"),
        ["error health-check-refused /healthcheck.sh"],
        id="an unknown option",
    ),
    pytest.param(
        image(*CALL, SPLIT_SYNC_ADMIN_TLS_ENABLED="true"),
        ["error health-check-refused /healthcheck.sh"],
        id="TLS",
    ),
    pytest.param(
        image(*CALL, "--no-tls", SPLIT_SYNC_ADMIN_TLS_ENABLED="true"), [], id="TLS switched off"
    ),
    pytest.param(
        image(*CALL, "--port", "8080", SPLIT_SYNC_ADMIN_PORT="3010"),
        ["warning health-check-port /healthcheck.sh"],
        id="another port",
    ),
    pytest.param(image(*CALL, "--port", "8080"), [], id="a port of which nothing is known"),
    pytest.param(
        image(*CALL, SPLIT_SYNC_ADMIN_PORT="tcp://10.0.0.1:3010"), [], id="a service link"
    ),
]


@pytest.mark.parametrize(("sketch", "expected"), CASES)
def test_the_scripts_calls(sketch: Sketch, expected: list[str]) -> None:
    assert told(RULES, sketch) == expected


OPTIONS = [
    pytest.param(image(*CALL, "--port", "1"), ("--port", "1"), id="by bash"),
    pytest.param(image("CMD", "/healthcheck.sh", "--log"), ("--log",), id="directly"),
    pytest.param(
        image("CMD", "/bin/bash", "-p", "-c", inline(script_text()), "name", "--log"),
        ("--log",),
        id="inline, behind argument 0",
    ),
    pytest.param(image("CMD-SHELL", "exec /healthcheck.sh --log"), ("--log",), id="by exec"),
]


@pytest.mark.parametrize(("sketch", "expected"), OPTIONS)
def test_the_options_are_told_apart(sketch: Sketch, expected: tuple[str, ...]) -> None:
    call = call_of(facts_of(sketch))
    assert call is not None
    assert call.options == expected


def test_the_version_is_this_packages() -> None:
    """The rules read no file: the version stands in their module, and is this one."""
    assert __version__ == VERSION


def test_our_own_image_has_no_fault() -> None:
    """What `probe image build` writes: nothing that concerns its config is to be found."""
    files: Mapping[str, Drawn] = {
        "/bin/bash": static("/dev/tcp/"),
        "/split-proxy": static(),
        "/tmp": Folder(0o1777),
        **{f"/{name}": Text(script_text(name)) for name in SCRIPTS},
    }
    config = ImageConfig(
        cmd=("/entrypoint.sh",),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "GIN_MODE": "release"},
        user="65532:65532",
        workdir="/",
        volumes=("/tmp",),
        exposed=("3000/tcp", "3010/tcp"),
        stop_signal="SIGTERM",
        healthcheck={
            "Test": [*CALL, "--timeout", "4"],
            "Interval": 10 * S,
            "Timeout": 5 * S,
            "StartPeriod": 60 * S,
            "Retries": 3,
        },
        format="docker",
    )
    modules = (health, health_script, user, running, environment, locale)
    rules = [rule for module in modules for rule in module.RULES]
    assert told(rules, Sketch(files, config)) == []
