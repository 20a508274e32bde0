"""`probe image build` as a user calls it."""

import io
from pathlib import Path

import pytest
import typer

from probe.cli import image_build
from probe.cli.errors import ProbeError
from probe.cli.errors import UsageError
from probe.findings import Finding
from probe.findings import Severity
from probe.image.archives import Image
from probe.image.archives import open_image
from tests.support.debian_root import debian_root

app = typer.Typer()
app.command()(image_build.build)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debian_root(tmp_path_factory.mktemp("root"))


@pytest.fixture(autouse=True)
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit has tests of its own."""
    monkeypatch.setattr(image_build, "_judge", lambda _: [])


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "split-proxy"
    path.write_bytes(Path("/usr/bin/env").read_bytes())
    return path


def run(*arguments: str | Path) -> None:
    app([str(one) for one in arguments], standalone_mode=False)


def test_default(root: Path, binary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The kind follows from the name; the result stands on stdout, talk on stderr."""
    out = binary.parent / "out.tar"
    run("--binary", binary, "--from", root, "-o", out)
    said = capsys.readouterr()
    assert said.out.startswith(f"{out}: sha256:")
    assert said.out.count("\n") == 1
    assert all(line.startswith("probe: note: ") for line in said.err.splitlines())
    with open_image(str(out)) as image:
        assert image.config is not None
        assert image.config.volumes == ("/tmp",)


def test_options(root: Path, binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option reaches the image."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    out = binary.parent / "out.tar"
    run(
        "--binary", binary, "--from", root, "-o", out, "--kind", "generic", "--with-sh",
        "--entrypoint", "--user", "1000:1000", "--label", "a=b=c", "--tag", "x/y",
        "--include", "/etc/ca-certificates.conf", "--sbom", binary.parent / "sbom.json",
    )  # fmt: skip
    with open_image(str(out), reference="x/y:latest") as image:
        config = image.config
        assert config is not None
        assert (config.entrypoint, config.cmd) == (("/usr/bin/split-proxy",), ())
        assert config.user == "1000:1000"
        assert config.labels["a"] == "b=c"
        assert config.labels["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
        assert image.resolve("/bin/sh")
        assert image.resolve("/etc/ca-certificates.conf")
    assert (binary.parent / "sbom.json").exists()


def test_a_guess_is_told(root: Path, binary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that tells nothing makes it generic, and that is said."""
    other = binary.rename(binary.parent / "server")
    run("--binary", other, "--from", root, "-o", other.parent / "out.tar")
    assert "taken as --kind generic" in capsys.readouterr().err


class Pipe(io.TextIOWrapper):
    def isatty(self) -> bool:
        return False


def test_stdout(
    root: Path,
    binary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`-o -` puts the archive there and the summary on stderr."""
    out = binary.parent / "out.tar"
    run("--binary", binary, "--from", root, "-o", out)
    capsys.readouterr()
    pipe = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Pipe(pipe))
    run("--binary", binary, "--from", root, "-o", "-")
    assert pipe.getvalue() == out.read_bytes()
    assert "-: sha256:" in capsys.readouterr().err


REFUSED = [
    pytest.param(["-o", ""], {}, "--output: the value is empty", id="no output"),
    pytest.param(["-o", "x", "--format", "tar"], {}, "--format 'tar' is not", id="format"),
    pytest.param(["-o", "x", "--kind", "server"], {}, "--kind 'server' is not", id="kind"),
    pytest.param(["-o", "x", "--label", "a"], {}, "--label 'a' is not NAME=VALUE", id="label"),
    pytest.param(["-o", "x", "--user", "me"], {}, "--user 'me' is not UID", id="user"),
    pytest.param(["-o", "-", "--format", "dir"], {}, "--format dir is a folder", id="dir to -"),
    *(
        pytest.param(["-o", "x"], {"SOURCE_DATE_EPOCH": value}, f"SOURCE_DATE_EPOCH='{value}' is",
                     id=f"epoch {value}")
        for value in ("now", "-1", "1.5", "8589934592", "99999999999")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "environment", "said"), REFUSED)
def test_usage(
    binary: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    said: str,
) -> None:
    """A faulty option is a usage error, exit 2, and nothing is written."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(binary.parent)
    with pytest.raises(UsageError, match=said):
        run("--binary", binary, *arguments)
    assert [path.name for path in binary.parent.iterdir()] == ["split-proxy"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_archive_to_a_terminal(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal would be spoilt by it."""
    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(UsageError, match="stdout is a terminal"):
        run("--binary", binary, "-o", "-")


def test_progress(root: Path, binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal one line says what is done, and is gone at the end."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    run("--binary", binary, "--from", root, "-o", binary.parent / "out.tar")
    assert "\rwriting the image ..." in terminal.getvalue()
    assert " " * 60 + "\rprobe: note:" in terminal.getvalue()


def test_names_are_printable(root: Path, binary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a file name holds neither commands a terminal nor ends in a traceback."""
    out = binary.parent / "\x1b[2J\udcff.tar"
    run("--binary", binary, "--from", root, "-o", out)
    assert "/\\x1b[2J\\xff.tar: sha256:" in capsys.readouterr().out
    assert out.exists()


def test_refused_by_the_audit(
    root: Path,
    binary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The findings stand on stderr, and there is no image."""

    def judge(_: Image) -> list[Finding]:
        return [Finding("no-ca", Severity.ERROR, "/etc/ssl", "is empty", "fill it")]

    monkeypatch.setattr(image_build, "_judge", judge)
    out = binary.parent / "out.tar"
    with pytest.raises(ProbeError, match="does not pass its audit"):
        run("--binary", binary, "--from", root, "-o", out)
    assert "error: /etc/ssl: is empty [no-ca]" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--from", "/none"], "/none", id="no root"),
        pytest.param(["-o", "/none/x.tar"], "/none/.*cannot build: no such file", id="no folder"),
        pytest.param(["--include", "/none"], "/none: not in the root", id="no include"),
        pytest.param(["--binary", "/etc/passwd"], "/etc/passwd: not an ELF program", id="no ELF"),
    ],
)
def test_errors(root: Path, binary: Path, arguments: list[str], said: str) -> None:
    """What cannot be done is one sentence with its place."""
    out = str(binary.parent / "out.tar")
    with pytest.raises(ProbeError, match=said):
        run("--binary", binary, "--from", root, "-o", out, *arguments)
    assert [path.name for path in binary.parent.iterdir()] == ["split-proxy"]
