"""What is generated, run by the real Docker Engine: every state, and a dependent that waits.

The cases run side by side, since most of the time each waits for the engine's next check.
"""

import json
import tarfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from probe.manifests import compose
from probe.manifests import dockerfile
from probe.manifests import ecs
from probe.manifests import emit
from probe.manifests.spec import Delivery
from probe.manifests.spec import Dependent
from probe.manifests.spec import HealthSpec
from probe.manifests.spec import Plan
from probe.manifests.spec import Workload
from probe.mock.server import Mock
from probe.platforms.timings import Timings
from probe.scripts import inline
from probe.scripts import script_text
from tests.support import agent
from tests.support.components import require
from tests.support.composed import Stage
from tests.support.engine import HARDENED
from tests.support.engine import REFUSED
from tests.support.engine import WAIT
from tests.support.engine import Engine
from tests.support.engine import root_files
from tests.support.engine import wait_for_check
from tests.support.engine import wait_for_state

pytestmark = pytest.mark.real

SCRIPT = script_text()
INLINE = inline(SCRIPT)
# The base image of each delivery; what can be asked inline need not hold the script.
BASES = {Delivery.IMAGE: "probe-generated:script", Delivery.INLINE: "probe-generated:bash"}
# The shortest that ECS takes; elsewhere shorter, but no check has to be done within a second.
ECS_TIMINGS = Timings(interval=5, timeout=5, retries=1, start_period=60)
TIMINGS = Timings(interval=3, timeout=3, retries=2, start_period=60)


def build(engine: Engine, folder: Path) -> None:
    """Build the base images: bash and its libraries, with the script and without."""
    whole = root_files(folder)
    for delivery, tag in BASES.items():
        context = folder / delivery
        context.mkdir()
        with tarfile.open(whole) as old, tarfile.open(context / "root.tar", "w") as new:
            for member in old:
                if delivery is Delivery.IMAGE or member.name != "healthcheck.sh":
                    new.addfile(member, old.extractfile(member))
        (context / "Dockerfile").write_text(
            "FROM scratch\nADD root.tar /\nENV LC_ALL=C\n"
            f"ENTRYPOINT {json.dumps(['/bin/bash', '-c', WAIT])}\n"
        )
        engine("build", "--tag", tag, str(context))


@pytest.fixture(scope="module")
def bases(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    require("docker-compose")
    build(engine, tmp_path_factory.mktemp("images"))


def plan_for(delivery: Delivery, timings: Timings, port: int) -> Plan:
    """A split-sync whose admin port is the mock's: the probe finds it by the variables."""
    workload = Workload("split-sync", BASES[delivery], port=port)
    return Plan(workload, HealthSpec(timings, delivery=delivery, log=True), SCRIPT, INLINE)


def by_ecs(stage: Stage, delivery: Delivery, port: int) -> str:
    """Run the container definition as the agent does; returns the container."""
    plan = plan_for(delivery, ECS_TIMINGS, port)
    (definition,) = ecs.build(plan, ecs.Options(launch="ec2"))["containerDefinitions"]
    wanted = agent.container(definition)
    wanted["HostConfig"]["NetworkMode"] = "host"
    with agent.Api(stage.engine.socket) as api:
        name = api.create(wanted)
    stage.engine("start", name)
    return name


def by_compose(stage: Stage, delivery: Delivery, port: int) -> str:
    """Run the service with docker-compose; returns the container."""
    write_compose(stage, plan_for(delivery, TIMINGS, port), compose.Options())
    stage.composed("up", "--detach")
    return stage.composed("ps", "--quiet", "split-sync")


def write_compose(stage: Stage, plan: Plan, options: compose.Options) -> None:
    """Write the file, changed only in that every service is on the host's network."""
    document: dict[str, Any] = compose.build(plan, options)
    for service in document["services"].values():
        service["network_mode"] = "host"
    (stage.folder / "compose.yaml").write_text(emit.to_yaml(document))


def by_dockerfile(stage: Stage, delivery: Delivery, port: int) -> str:
    """Build the Dockerfile and run what it makes, hardened; returns the container."""
    plan = plan_for(delivery, TIMINGS, port)
    text = dockerfile.render(plan, dockerfile.Options())
    (stage.folder / "Dockerfile").write_text(text)
    tag = f"probe-generated:dockerfile-{delivery}"
    stage.engine("build", "--tag", tag, str(stage.folder))
    return stage.engine("run", "--detach", "--network=host", "--init", *HARDENED, tag)


Way = Callable[[Stage, Delivery, int], str]
WAYS: dict[str, Way] = {"ecs": by_ecs, "compose": by_compose, "dockerfile": by_dockerfile}
CASES = {f"{name} {delivery}": (way, delivery) for name, way in WAYS.items() for delivery in BASES}


def run_case(stage: Stage, way: Way, delivery: Delivery) -> set[str]:
    """Take one container through its states with the mock; returns what it logged."""
    with Mock(mode="refuse") as mock:
        name = way(stage, delivery, mock.port)
        go_through_states(stage.engine, name, mock)
        return set(stage.engine("logs", name).splitlines())


def go_through_states(engine: Engine, name: str, mock: Mock) -> None:
    wait_for_check(engine, name, 1, REFUSED)
    assert engine.health(name)["Status"] == "starting"
    for mode, state, exit_code, line in (
        ("healthy", "healthy", 0, "healthy: 200"),
        ("unhealthy", "unhealthy", 1, "unhealthy: status 500"),
        ("healthy", "healthy", 0, "healthy: 200"),
    ):
        mock.set(mode)
        wait_for_state(engine, name, state)
        wait_for_check(engine, name, exit_code, line)


def run_dependent(stage: Stage) -> list[str]:
    """Bring both services up; returns which ran while the mock refused, and which afterwards."""
    app = Dependent("app", BASES[Delivery.INLINE])
    with Mock(mode="refuse") as mock:
        write_compose(
            stage, plan_for(Delivery.INLINE, TIMINGS, mock.port), compose.Options(app=app)
        )
        process = stage.compose("up", "--detach")
        wait_for_check(stage.engine, wait_for_service(stage, "split-sync"), 1, REFUSED)
        before = running(stage)
        mock.set("healthy")
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output
        return [before, running(stage)]


def wait_for_service(stage: Stage, name: str) -> str:
    deadline = time.monotonic() + 20
    while not (found := stage.composed("ps", "--quiet", name)):
        assert time.monotonic() < deadline, name
        time.sleep(0.1)
    return found


def running(stage: Stage) -> str:
    """Return the services that run, sorted."""
    found = stage.composed("ps", "--services", "--filter", "status=running")
    return " ".join(sorted(found.split()))


@pytest.fixture(scope="module")
def stories(
    engine: Engine, bases: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """Every case by name, under way at the same time; all containers are removed at the end."""
    del bases
    stages = {name: Stage(engine, tmp_path_factory.mktemp("case")) for name in (*CASES, "waits")}
    with ThreadPoolExecutor(len(stages)) as pool:
        found: dict[str, Future[Any]] = {
            name: pool.submit(run_case, stages[name], *case) for name, case in CASES.items()
        }
        found["waits"] = pool.submit(run_dependent, stages["waits"])
        yield found
    with suppress(RuntimeError):
        engine("rm", "--force", *engine("ps", "--all", "--quiet").split())


@pytest.mark.parametrize("case", CASES)
def test_states(stories: dict[str, Future[Any]], case: str) -> None:
    """It starts, is healthy, unhealthy and healthy again with the mock, and the log says why."""
    expected = {f"healthcheck: {REFUSED}", "healthcheck: unhealthy: status 500"}
    assert stories[case].result(timeout=80) == expected


def test_dependent_waits(stories: dict[str, Future[Any]]) -> None:
    """The application starts when the synchronizer is healthy, and not before."""
    before, after = stories["waits"].result(timeout=80)
    assert (before, after) == ("split-sync", "app split-sync")
