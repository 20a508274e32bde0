"""The HEALTHCHECK instruction: hadolint has nothing to say, and it reads back."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from probe.manifests import command
from probe.manifests import dockerfile
from probe.manifests.dockerfile import Options
from probe.manifests.spec import Delivery
from probe.manifests.spec import Handler
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Kind
from probe.manifests.spec import Plan
from probe.manifests.spec import SpecError
from probe.manifests.spec import Workload
from probe.platforms.rows import DOCKER
from probe.platforms.timings import Timings
from probe.scripts import inline
from probe.scripts import script_text
from tests.manifests.strategies import health_specs
from tests.manifests.strategies import workloads

SCRIPT = script_text()
INLINE = inline(SCRIPT)
OPTIONS = Options()
SYNC = Workload("split-sync", "example/split-sync:1")
PINNED = "example/app@sha256:" + "0123456789abcdef" * 4

PLANS = st.builds(
    Plan,
    st.sampled_from(Kind).flatmap(lambda kind: workloads(kind, secrets=st.just("./a"))),
    health_specs(DOCKER),
    st.just(SCRIPT),
    st.just(INLINE),
)


def _plan(workload: Workload = SYNC, **health: Any) -> Plan:
    return Plan(workload, HealthSpec(**health), SCRIPT, INLINE)


def _words(text: str) -> list[str]:
    """Return the words of the last line, as Docker has them: JSON behind CMD."""
    words: list[str] = json.loads(text.splitlines()[-1].strip().removeprefix("CMD "))
    return words


def test_text() -> None:
    """The whole file: why it may be ignored, what the image needs, and the instructions."""
    assert dockerfile.render(_plan(log=True), OPTIONS) == (
        "# Docker and Compose alone heed this: ECS and Kubernetes ignore an image's HEALTHCHECK,"
        " and a build\n"
        "# in OCI format (podman's and buildah's default) drops it: podman build --format docker.\n"
        "# The image needs /bin/bash and the script (probe script > healthcheck.sh):\n"
        "#   COPY --chmod=0755 healthcheck.sh /healthcheck.sh\n"
        "FROM example/split-sync:1\n"
        "ENV HEALTHCHECK_LOG=1\n"
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \\\n"
        '  CMD ["/bin/bash", "-p", "/healthcheck.sh", "--timeout", "4"]\n'
    )


def test_without_image() -> None:
    """Without an image it is a fragment, for the Dockerfile that one has."""
    (instruction,) = dockerfile.build(_plan(replace(SYNC, image="")), OPTIONS)
    assert instruction.startswith("HEALTHCHECK ")


@pytest.mark.parametrize(
    ("workload", "port"),
    [
        pytest.param(SYNC, [], id="the usual one"),
        pytest.param(replace(SYNC, port=3011), ["--port", "3011"], id="another"),
        pytest.param(Workload("web", "", Kind.GENERIC), ["--port", "3010"], id="generic"),
    ],
)
def test_port(workload: Workload, port: list[str]) -> None:
    """The port stands in the command, since a Dockerfile holds no settings."""
    assert _words(dockerfile.render(_plan(workload), OPTIONS))[5:] == port


@settings(deadline=None, max_examples=200)
@given(PLANS)
def test_back(plan: Plan) -> None:
    """It gives Docker our words, and reads back to image, port and check."""
    text = dockerfile.render(plan, OPTIONS)
    assert _words(text) == command.argv(plan.workload, plan.health, INLINE, name_port=True)
    workload, health = dockerfile.read(text)
    assert (workload.image, workload.port) == (plan.workload.image, plan.workload.port)
    assert health == plan.health
    assert dockerfile.read("\n".join(dockerfile.build(plan, OPTIONS))) == (workload, health)


@pytest.mark.parametrize("kind", [Kind.SYNC, Kind.GENERIC])
def test_kind(kind: Kind) -> None:
    """The kind is told by whether the command names the port."""
    plan = _plan(Workload("app", "x:1", kind))
    assert dockerfile.read(dockerfile.render(plan, OPTIONS))[0] == plan.workload


def _hadolint(tmp_path: Path, texts: list[str]) -> str:
    paths = []
    for number, text in enumerate(texts):
        path = tmp_path / f"Dockerfile.{number}"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--no-color", *paths],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_hadolint(tmp_path: Path) -> None:
    """Nothing is found by hadolint, be the instructions a file or the end of one."""
    plans = [
        _plan(replace(SYNC, image=image), delivery=delivery, log=log)
        for image in ("example/split-sync:1", PINNED, "registry.example:5000/a/b:1")
        for delivery in (Delivery.IMAGE, Delivery.INLINE)
        for log in (True, False)
    ]
    whole = [dockerfile.render(plan, OPTIONS) for plan in plans]
    part = dockerfile.render(_plan(replace(SYNC, image="")), OPTIONS)
    assert not _hadolint(tmp_path, [*whole, f"FROM x:1\n{part}"])


@pytest.mark.parametrize(
    ("image", "rule", "noted"),
    [
        pytest.param("alpine", "DL3006", True, id="no tag"),
        pytest.param("alpine:latest", "DL3007", True, id="latest"),
        pytest.param("registry.example:5000/a", "DL3006", True, id="the port is no tag"),
        pytest.param("registry.example:5000/a:1", "", False, id="tag"),
        pytest.param(PINNED, "", False, id="digest"),
    ],
)
def test_tags(tmp_path: Path, image: str, rule: str, *, noted: bool) -> None:
    """What hadolint says of the user's own image, we say too, and of no other."""
    plan = _plan(replace(SYNC, image=image))
    found = _hadolint(tmp_path, [dockerfile.render(plan, OPTIONS)])
    assert re.findall(r"DL\d+", found) == ([rule] if rule else [])
    assert any("tag that moves" in note for note in dockerfile.notes(plan, OPTIONS)) == noted


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        pytest.param(_plan(delivery=Delivery.CONFIGMAP), "--script configmap: a Dockerfile",
                     id="configmap"),
        pytest.param(_plan(handler=Handler.HTTP), "--handler http: a Dockerfile", id="http"),
        pytest.param(_plan(replace(SYNC, settings={"SPLIT_SYNC_ADMIN_TLS_ENABLED": "1"})),
                     "--env SPLIT_SYNC_ADMIN_TLS_ENABLED: ", id="tls"),
        pytest.param(_plan(replace(SYNC, image="a b")), "--image 'a b': ", id="blank"),
        pytest.param(_plan(replace(SYNC, image="a\nRUN x")), "--image 'a", id="line"),
        pytest.param(_plan(replace(SYNC, image="$A")), "--image '$A': ", id="variable"),
    ],
)  # fmt: skip
def test_problems(plan: Plan, message: str) -> None:
    """What cannot stand in a Dockerfile is told once, by its option."""
    (problem,) = dockerfile.problems(plan, OPTIONS)
    assert problem.startswith(message)


@settings(deadline=None)
@given(PLANS)
def test_no_problems(plan: Plan) -> None:
    """What is within the limits has none."""
    assert not dockerfile.problems(plan, OPTIONS)


@pytest.mark.parametrize(
    ("plan", "note"),
    [
        pytest.param(_plan(), "COPY --chmod=0755", id="the script"),
        pytest.param(_plan(replace(SYNC, image="")), "no --image", id="fragment"),
        pytest.param(_plan(delivery=Delivery.INLINE), "only shown as such", id="no restart"),
    ],
)
def test_notes(plan: Plan, note: str) -> None:
    """What the user must do besides is said."""
    assert [text for text in dockerfile.notes(plan, OPTIONS) if note in text]


def test_inline_needs_no_copy() -> None:
    """The inline form is all there is: nothing tells to copy a file."""
    plan = _plan(delivery=Delivery.INLINE)
    text = dockerfile.render(plan, OPTIONS) + "".join(dockerfile.notes(plan, OPTIONS))
    assert "COPY" not in text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("FROM x:1\n", id="no check"),
        pytest.param("HEALTHCHECK NONE\n", id="none"),
        pytest.param("HEALTHCHECK CMD /healthcheck.sh\n", id="shell form"),
        pytest.param('HEALTHCHECK CMD ["curl", "x"]\n', id="foreign"),
        pytest.param("HEALTHCHECK CMD [/healthcheck.sh]\n", id="no JSON"),
        pytest.param('HEALTHCHECK --interval=5 CMD ["/healthcheck.sh"]\n', id="no unit"),
    ],
)
def test_foreign(text: str) -> None:
    """A file that is not ours is refused."""
    with pytest.raises(SpecError, match="HEALTHCHECK"):
        dockerfile.read(text)


def test_defaults() -> None:
    """A flag that is not there has Docker's default."""
    _, health = dockerfile.read('HEALTHCHECK CMD ["/healthcheck.sh"]\n')
    assert health.timings == Timings(30, 30, 3, 0)
