"""The probe's command line: written, recognised, read back, and escaped for its carriers."""

import json
import re
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.manifests import command
from probe.manifests.command import Command
from probe.manifests.spec import Delivery
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Workload
from probe.platforms.rows import PLATFORMS
from probe.platforms.timings import Timings
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import ODD_TEXTS
from tests.manifests.strategies import health_specs
from tests.manifests.strategies import workloads
from tests.support.probes import ENVIRONMENT
from tests.support.probes import SCRIPT

INLINE = inline(script_text())
SYNC = Workload("split-sync", "x:1")
GENERIC = Workload("web", "x:1", Kind.GENERIC, port=8080)
CALL = ["/bin/bash", "-p", "/healthcheck.sh"]
HEALTH = HealthSpec()


@pytest.mark.parametrize(
    ("workload", "health", "name_port", "expected"),
    [
        pytest.param(SYNC, HEALTH, False, ["--timeout", "4"], id="defaults"),
        pytest.param(replace(SYNC, port=3011), HEALTH, False, ["--timeout", "4"],
                     id="the port by its variable"),
        pytest.param(replace(SYNC, port=3011), HEALTH, True,
                     ["--timeout", "4", "--port", "3011"], id="the port by name"),
        pytest.param(SYNC, HEALTH, True, ["--timeout", "4"], id="the usual port"),
        pytest.param(GENERIC, HealthSpec(Timings(10, 0.5), path="/a?b", expect="200-299"), False,
                     ["--timeout", "0.25", "--port", "8080", "--path", "/a?b",
                      "--expect", "200-299"], id="everything"),
    ],
)  # fmt: skip
def test_argv(
    workload: Workload, health: HealthSpec, expected: list[str], *, name_port: bool
) -> None:
    """The probe's own timeout is always there, below the platform's; the rest where it differs."""
    assert command.argv(workload, health, INLINE, name_port=name_port) == [*CALL, *expected]


def test_inline() -> None:
    """Inline, the script is one argument, and its name stands where bash wants `$0`."""
    found = command.argv(SYNC, HealthSpec(delivery=Delivery.INLINE), INLINE)
    assert found == ["/bin/bash", "-p", "-c", INLINE, "healthcheck", "--timeout", "4"]


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(Kind).flatmap(lambda kind: workloads(kind, secrets=st.nothing())),
    st.sampled_from(tuple(PLATFORMS.values())).flatmap(health_specs),
)
def test_back(workload: Workload, health: HealthSpec) -> None:
    """What is written is recognised as ours, and every input read back."""
    words = command.argv(workload, health, INLINE, name_port=True)
    found = command.read_argv(words)
    assert found == Command(
        own_timeout=health.timings.own_timeout,
        port=workload.port,
        path=health.path,
        expect=health.expect,
        script=INLINE if health.delivery is Delivery.INLINE else None,
        options=tuple(words[5 if health.delivery is Delivery.INLINE else 3 :]),
    )
    assert found.delivery is health.delivery


OURS = [
    pytest.param(["/healthcheck.sh"], id="script"),
    pytest.param(["healthcheck.sh"], id="by PATH"),
    pytest.param(["/opt/probe/healthcheck.sh", "--port", "80"], id="elsewhere"),
    pytest.param(["bash", "/healthcheck.sh"], id="bash"),
    pytest.param(["/usr/bin/bash", "-p", "--", "/healthcheck.sh"], id="bash --"),
    pytest.param(["bash", "-p", "-c", "# healthcheck 0.1\nexit 1"], id="older inline"),
    pytest.param(["bash", "-c", INLINE, "x"], id="inline without -p"),
]
FOREIGN = [
    pytest.param([], id="nothing"),
    pytest.param(["bash"], id="bash alone"),
    pytest.param(["bash", "-c"], id="-c alone"),
    pytest.param(["bash", "-c", "exit 1"], id="another text"),
    pytest.param(["bash", "-c", "/healthcheck.sh"], id="a line that calls it"),
    pytest.param(["bash", "/other.sh"], id="another script"),
    pytest.param(["sh", "/healthcheck.sh"], id="sh, which cannot run it"),
    pytest.param(["curl", "-f", "http://localhost/healthcheck.sh"], id="curl"),
    pytest.param(["/healthcheck.sh.old"], id="a longer name"),
]


@pytest.mark.parametrize("words", OURS)
def test_ours(words: list[str]) -> None:
    """Ours is the script by any way to it, and inline text that says so."""
    assert command.read_argv(words) is not None


@pytest.mark.parametrize("words", FOREIGN)
def test_foreign(words: list[str]) -> None:
    """Nothing else is."""
    assert command.read_argv(words) is None


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        pytest.param(["--timeout", "1.50"], "own_timeout", 1.5, id="fraction"),
        pytest.param(["--timeout=2s"], "own_timeout", 2, id="unit"),
        pytest.param(["--timeout", "x"], "own_timeout", None, id="no number"),
        pytest.param([], "own_timeout", None, id="none"),
        pytest.param(["--port=80", "--port", "81"], "port", 81, id="the last wins"),
        pytest.param(["--path"], "path", "", id="no value"),
        pytest.param(["--log", "--expect=204"], "expect", "204", id="a flag before"),
    ],
)
def test_options(words: list[str], field: str, value: object) -> None:
    """Options are read as the script reads them; the words stay as they stand."""
    found = command.read_argv([*CALL, *words])
    assert found is not None
    assert getattr(found, field) == value
    assert found.options == tuple(words)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param(["CMD", "a", "b"], ["a", "b"], id="exec form"),
        pytest.param(["CMD"], [], id="no program"),
        pytest.param(["CMD-SHELL", "a"], None, id="shell form"),
        pytest.param(["a", "b"], None, id="never runs"),
        pytest.param("CMD a", None, id="string"),
        pytest.param(["CMD", 1], None, id="number"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_from_docker(test: object, expected: list[str] | None) -> None:
    """Of Docker's forms the exec form alone has words."""
    assert command.from_docker(test) == expected


@given(st.lists(ODD_TEXTS))
def test_docker_back(words: list[str]) -> None:
    """Words come back through Docker's form."""
    assert command.from_docker(command.to_docker(words)) == words


# Consumers, written from their own descriptions: what each makes of the text that we escaped.
def _compose(text: str) -> str:
    return re.sub(
        r"\$(\$?)", lambda found: found[1] or pytest.fail(f"a variable in {text!r}"), text
    )


def _kubernetes(text: str) -> str:
    """Expand as third_party/forked/golang/expansion does, no variable being known."""
    return re.sub(r"\$\$|\$\([^)]*\)|\$", lambda found: found[0][: 1 if found[0] == "$$" else None],
                  text)  # fmt: skip


def _terraform(text: str) -> str:
    """Read a template (Terraform language, "Strings and Templates"): it must hold no expression."""
    pattern = r"\$\$\{|%%\{|\$\{|%\{"
    templates = {"$${": "${", "%%{": "%{"}
    return re.sub(pattern, lambda found: templates[found[0]], text)


CARRIERS = [
    pytest.param(command.double_dollars, command.undouble_dollars, _compose, id="Compose"),
    pytest.param(command.double_dollars, command.undouble_dollars, _kubernetes, id="Kubernetes"),
    pytest.param(command.escape_terraform, command.unescape_terraform, _terraform, id="Terraform"),
]


@pytest.mark.parametrize(("escape", "unescape", "consume"), CARRIERS)
@settings(deadline=None, max_examples=300)
@given(text=ODD_TEXTS | st.text("$%{}(a)", max_size=12) | st.just(INLINE))
def test_escapes(text: str, escape: Any, unescape: Any, consume: Any) -> None:
    """Escaped text is the text again for its consumer, and for us."""
    assert consume(escape(text)) == text
    assert unescape(escape(text)) == text


@pytest.mark.parametrize("delivery", [Delivery.IMAGE, Delivery.INLINE])
def test_runs(delivery: Delivery) -> None:
    """What is written runs: the script itself finds every option valid."""
    health = HealthSpec(Timings(10, 5), path="/x", expect="204", delivery=delivery)
    words = command.argv(replace(GENERIC, port=1), health, INLINE)
    words = [str(SCRIPT) if word == command.SCRIPT_PATH else word for word in words]
    done = subprocess.run(
        json.loads(json.dumps(words)), env=ENVIRONMENT, capture_output=True, text=True,
        check=False, timeout=20, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split(" (")[0]) == (1, "unhealthy: refused")
