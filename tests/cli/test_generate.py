"""`probe generate` as a user calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from probe.manifests.options import WHAT
from tests.cli.test_views import probe
from tests.generate import DEPLOY
from tests.generate import OWN
from tests.generate import generate_examples

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:split-AbCdEf"
ECS = ["ecs", "--kind", "sync", "--image", "example/split-sync:1", "--apikey-secret", ARN,
       "--redis-host", "redis.internal", "--execution-role",
       "arn:aws:iam::123456789012:role/exec"]  # fmt: skip


def test_ecs() -> None:
    """The JSON goes to stdout as `--cli-input-json` takes it, notes go to stderr."""
    done = probe("generate", *ECS)

    assert done.returncode == 0
    assert all(line.startswith("probe: note: ") for line in done.stderr.splitlines())
    container = json.loads(done.stdout)["containerDefinitions"][0]
    assert container["logConfiguration"]["options"]["awslogs-region"] == "us-east-1"
    assert container["healthCheck"]["command"][:4] == ["CMD", "/bin/bash", "-p", "/healthcheck.sh"]


def test_healthcheck_only() -> None:
    """The bare object needs no image, role or region."""
    done = probe("generate", "ecs", "--healthcheck-only", "--interval", "1m", "--timeout", "9s")

    assert json.loads(done.stdout) == {
        "command": ["CMD", "/bin/bash", "-p", "/healthcheck.sh", "--timeout", "8"],
        "interval": 60, "timeout": 9, "retries": 3, "startPeriod": 60,
    }  # fmt: skip


REFUSED = [
    pytest.param(["--interval", "4"], ["--interval 4", "5 to 300", "fits: 5"], id="low"),
    pytest.param(["--timeout", "61"], ["--timeout 61", "2 to 60", "fits: 60"], id="high"),
    pytest.param(["--retries", "11"], ["--retries 11", "1 to 10", "fits: 10"], id="retries"),
    pytest.param(["--start-period", "6m"], ["--start-period 360", "0 to 300"], id="start"),
    pytest.param(["--interval", "9", "--timeout", "10"], ["--timeout 10", "interval of 9"],
                 id="both"),
    pytest.param(["--detect-within", "20s"], ["--detect-within 20", "fits: 27"], id="budget"),
    pytest.param(["--interval", "soon"], ["--interval: 'soon' is not a time"], id="word"),
    pytest.param(["--launch", "lambda"], ["--launch: 'lambda' is none of"], id="choice"),
    pytest.param(["--image", ""], ["--image: the value is empty"], id="empty"),
    pytest.param(["--image", "a b"], ["--image: 'a b' is not the reference"], id="blank"),
    pytest.param(["--image", "a\n b"], ["--image: 'a\\n b' is not"], id="line-end"),
    pytest.param(["--env", "A=\udce9"], ["--env: 'A=\\udce9' is not UTF-8"], id="no-utf-8"),
    pytest.param(["--redis-host", "$HOST"], ["--redis-host: '$HOST' is not a host"], id="no-host"),
    pytest.param(["--app-name", "x"], ["--app-name: there is no", "--app-image"], id="no-app"),
    pytest.param(["--env", "A=" + "x" * 65536], ["--env", "65536", "quotas"], id="too-long"),
    pytest.param(["--start-within", "301"], ["--start-within 301", "fits: 300"], id="within"),
    pytest.param(["--healthcheck-only", "--env", "SPLIT_SYNC_ADMIN_TLS_ENABLED=1"], ["TLS"],
                 id="tls-only"),
    pytest.param(["-o", ""], ["--output: the value is empty"], id="no-output"),
    pytest.param(["--cpu", "300"], ["300"], id="fargate-size"),
    pytest.param(["--env", "SPLIT_SYNC_ADMIN_TLS_ENABLED=true"], ["TLS"], id="tls"),
    pytest.param(["--apikey-secret", "abc"], ["abc", "ARN"], id="plain-key"),
    pytest.param(["-o", "/nowhere/x.json"], ["/nowhere/x.json"], id="folder-not-there"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_refused(arguments: list[str], words: list[str]) -> None:
    """Exit 2, nothing on stdout, the option, the value and the way out on stderr."""
    done = probe("generate", *ECS, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert all(word in done.stderr for word in words), done.stderr
    assert all(line.startswith("probe: ") for line in done.stderr.splitlines())


def test_folder_formats_need_an_output() -> None:
    """A chart cannot go to stdout."""
    done = probe("generate", "helm", "--image", "a:1")

    assert (done.returncode, done.stdout) == (2, "")
    assert "-o DIR" in done.stderr


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    """A fault in the last workload leaves the folder without the first one's files."""
    spec = tmp_path / "spec.yaml"
    spec.write_text("workloads: {a: {image: 'a:1'}, b: {image: 'b:1', interval: 0}}")
    done = probe("generate", "all", "--spec", str(spec), "-o", str(tmp_path / "out"))

    assert done.returncode == 2
    assert "spec.yaml: " in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_fault_of_a_spec_file(tmp_path: Path) -> None:
    """Faults of all workloads and targets come at once, and no notes among them."""
    spec = tmp_path / "spec.yaml"
    spec.write_text("workloads: {a: {image: 'a:1', retries: 0}, b: {image: 'b:1', user: 0}}")
    done = probe("generate", "all", "--spec", str(spec), "-o", str(tmp_path / "out"))

    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert all(line.startswith(f"probe: {spec}: ") for line in lines)
    assert sum("--retries 0" in line for line in lines) == len(WHAT)
    assert any(": b: compose: --user: 0 is root" in line for line in lines)


@pytest.mark.parametrize("target", ["kustomize", "helm", "dockerfile"])
def test_no_sidecar(target: str, tmp_path: Path) -> None:
    """A target that cannot hold a second container says so, and which can."""
    done = probe("generate", target, "--image", "a:1", "--sidecar", "-o", str(tmp_path / "x"))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"probe: --sidecar: {target} has none; only ")
    assert "kubernetes" in done.stderr


def test_prometheus(tmp_path: Path) -> None:
    """The configuration goes to stdout; with -o the rules, their tests and the routes too."""
    shown = probe("generate", "prometheus", "--sidecar", "127.0.0.1:9310")
    written = probe("generate", "prometheus", "--sidecar", "127.0.0.1:9310", "-o", str(tmp_path))

    assert (shown.returncode, written.returncode, written.stdout) == (0, 0, "")
    assert {path.name for path in tmp_path.iterdir()} == {
        "prometheus.yml", "probe.rules.yml", "probe.rules.test.yml", "alertmanager.yml",
    }  # fmt: skip
    assert (tmp_path / "prometheus.yml").read_text() == shown.stdout


def test_grafana() -> None:
    """The dashboard is JSON on stdout."""
    done = probe("generate", "grafana", "--title", "Edge")

    assert json.loads(done.stdout)["title"] == "Edge"


@pytest.mark.parametrize(
    "arguments",
    [["prometheus", "--sidecar", "a", "--scrape-interval", "0"],
     ["grafana", "--title", "a\nb"]],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_monitoring_refused(arguments: list[str]) -> None:
    """Exit 2, every fault on a line of its own, nothing on stdout."""
    done = probe("generate", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    given = [word for word in arguments if word.startswith("--")]
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == given


def test_full_disk() -> None:
    """What cannot be written to stdout is told in a line."""
    command = f"{sys.executable} -m probe generate dockerfile > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2, "probe: stdout: cannot write: no space left on device\n"
    )  # fmt: skip


def test_examples_are_up_to_date(tmp_path: Path) -> None:
    """Generating all examples again changes nothing."""
    generate_examples(tmp_path)
    made = {str(p.relative_to(tmp_path)): p.read_text() for p in _files(tmp_path)}
    kept = {
        str(path.relative_to(DEPLOY)): path.read_text()
        for folder in DEPLOY.iterdir()
        if folder.is_dir() and folder.name not in OWN
        for path in _files(folder)
    }
    assert made == kept


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("target", WHAT)
def test_help(target: str) -> None:
    """Every target says what its options are."""
    done = probe("generate", target, "--help")

    assert done.returncode == 0
    assert "--start-within" in done.stdout
