"""`probe wire` as a user calls it: in place, in a pipe, exit codes, a line for what is wrong."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from probe.cli.app import main
from tests.manifests.wiring.test_wire import DATA
from tests.manifests.wiring.test_wire import compose_text
from tests.manifests.wiring.test_wire import ecs_text
from tests.manifests.wiring.test_wire import expected

OURS = {"command": ["CMD", "/bin/bash", "-p", "/healthcheck.sh", "--timeout", "4"]}
FOREIGN = {"command": ["CMD-SHELL", "curl x"]}
CARRIES = ecs_text(healthCheck=OURS | {"timeout": 5})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


LEFT = "(left; --replace puts ours in its place)"
Captured = pytest.CaptureFixture[str]


def test_in_place(file: Path, capsys: Captured) -> None:
    """A file is written in place, its line ends as they are, and nothing on stdout."""
    odd = DATA / "ecs" / "crlf-no-final-newline.json"
    file.write_bytes(odd.read_bytes())
    assert main(["wire", str(file)]) == 0
    assert file.read_bytes() == expected(odd).read_bytes()
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", f"probe: {file}:7: split-sync: brought up to date\n")


def test_second_run_does_not_write(file: Path) -> None:
    file.write_text(ecs_text())
    main(["wire", str(file)])
    before = (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino)
    assert main(["wire", str(file)]) == 0
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == before


EXIT = [
    pytest.param([], ecs_text(), 0, id="put in"),
    pytest.param([], CARRIES, 0, id="up to date"),
    pytest.param([], ecs_text(healthCheck=FOREIGN), 1, id="foreign"),
    pytest.param(["--replace"], ecs_text(healthCheck=FOREIGN), 0, id="foreign, replaced"),
    pytest.param(["--diff"], ecs_text(), 0, id="diff"),
    pytest.param(["--diff"], ecs_text(healthCheck=FOREIGN), 1, id="diff, foreign"),
    pytest.param(["--check"], ecs_text(), 1, id="check, nothing"),
    pytest.param(["--check"], CARRIES, 0, id="check, ours"),
    pytest.param(["--check"], ecs_text(healthCheck=OURS | {"timeout": 4}), 1, id="check, late"),
    pytest.param(["--check"], ecs_text(healthCheck=FOREIGN), 1, id="check, foreign"),
    pytest.param(["--check", "--diff"], ecs_text(), 1, id="check and diff"),
    pytest.param(["--container", "no"], ecs_text(), 2, id="no such container"),
    pytest.param(["--timeout", "99"], ecs_text(), 2, id="limits"),
    pytest.param(["--timeout", "5x"], ecs_text(), 2, id="no time"),
    pytest.param(["--port", "0"], ecs_text(), 2, id="no port"),
    pytest.param(["--inline", "--script", "configmap"], ecs_text(), 2, id="contradiction"),
    pytest.param(["--handler", "http"], ecs_text(), 2, id="not for ECS"),
    pytest.param(["--for-register"], compose_text(), 2, id="not for Compose"),
    pytest.param([], '{"a": ', 2, id="truncated"),
    pytest.param(["--check"], "name: x\n", 2, id="check, another kind"),
]


@pytest.mark.parametrize(("options", "text", "code"), EXIT)
def test_exit_codes(file: Path, capsys: Captured, options: list[str], text: str, code: int) -> None:
    """0 done, 1 left or not right, 2 not possible; only a run without a finding may write."""
    file.write_text(text)
    assert main(["wire", str(file), *options]) == code
    found = capsys.readouterr()
    assert found.err.startswith("probe: ")
    assert (found.out != "") == ("--diff" in options and text == ecs_text())
    if code or {"--check", "--diff"} & set(options):
        assert file.read_text() == text


def test_diff(file: Path, capfd: Captured) -> None:
    """What --diff prints, `patch` makes of the file what a run makes of it."""
    odd = DATA / "compose" / "bom-crlf.yml"
    file.write_bytes(odd.read_bytes())
    main(["wire", "--diff", str(file)])
    (file.parent / "diff").write_text(capfd.readouterr().out, newline="")
    assert file.read_bytes() == odd.read_bytes()
    subprocess.run(["git", "apply", "--unsafe-paths", "-p0", "diff"], cwd=file.parent, check=True)
    assert file.read_bytes() == expected(odd).read_bytes()


def test_several_files(tmp_path: Path, capsys: Captured) -> None:
    """All files are done, each told; the worst decides the exit code."""
    texts = {"a": "", "b": ecs_text(), "c": ecs_text(healthCheck=FOREIGN)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert main(["wire", *(str(tmp_path / name) for name in texts)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"probe: {tmp_path}/a:1: the file is empty",
        f"probe: {tmp_path}/b:4: split-sync: put in",
        f"probe: {tmp_path}/c:7: split-sync: a foreign check: CMD-SHELL curl x {LEFT}",
    ]
    assert "/healthcheck.sh" in (tmp_path / "b").read_text()


def pipe(*arguments: str, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "probe", "wire", "-", *arguments],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_pipe() -> None:
    """Between describe and register: stdin to stdout."""
    done = pipe("--for-register", text=json.dumps({"taskDefinition": json.loads(ecs_text())}))
    assert done.returncode == 0
    assert "healthCheck" in json.loads(done.stdout)["containerDefinitions"][0]


def test_pipe_with_nothing_to_do() -> None:
    """What needs no change goes through as it is."""
    wired = pipe(text=ecs_text()).stdout
    assert pipe(text=wired).stdout == wired


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(ecs_text(healthCheck=FOREIGN), 1, id="foreign"),
        pytest.param("{", 2, id="broken"),
    ],
)
def test_pipe_that_must_not_go_on(text: str, code: int) -> None:
    """Where it fails nothing goes on down the pipe."""
    done = pipe(text=text)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("probe: stdin:")


def _folder(path: Path) -> None:
    path.mkdir()


def _no_write_bits(path: Path) -> None:
    path.write_text(ecs_text())
    path.chmod(stat.S_IRUSR)


INPUTS = [
    pytest.param(lambda _: None, "{file}: cannot read: no such file or directory", id="missing"),
    pytest.param(_folder, "{file}: cannot read: is a directory", id="folder"),
    pytest.param(_no_write_bits, "{file}: cannot write: it has no write bits", id="0444"),
    pytest.param(
        lambda path: path.write_bytes(b"a\n\xff"), "{file}:2: not UTF-8: byte 0xff", id="not UTF-8"
    ),
    pytest.param(lambda path: path.write_bytes(b""), "{file}:1: the file is empty", id="empty"),
]


@pytest.mark.parametrize(("make", "said"), INPUTS)
def test_bad_inputs(file: Path, capsys: Captured, make: object, said: str) -> None:
    """One line with the place, exit 2, the file untouched."""
    assert callable(make)
    make(file)
    before = file.read_bytes() if file.is_file() else None
    assert main(["wire", str(file)]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.splitlines()[-1] == "probe: " + said.format(file=file)
    assert (file.read_bytes() if file.is_file() else None) == before


def test_fragment_on_stderr(tmp_path: Path, capsys: Captured) -> None:
    """What cannot be edited is refused in one line, and what to paste follows."""
    path = tmp_path / "main.tf"
    path.write_text('resource "aws_ecs_task_definition" "a" {\n}\n')
    assert main(["wire", str(path), "--timeout", "8"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"probe: {path}:1: this is HCL, which wire does not edit"
    assert lines[2:5] == [
        "healthCheck = {",
        '  command     = ["CMD", "/bin/bash", "-p", "/healthcheck.sh", "--timeout", "7"]',
        "  interval    = 10",
    ]


def test_stdin_stands_alone(file: Path, capsys: Captured) -> None:
    assert main(["wire", "-", str(file)]) == 2
    assert capsys.readouterr().err == "probe: - stands for stdin and stands alone\n"
