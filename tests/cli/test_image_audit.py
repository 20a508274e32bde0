"""`probe image audit` as a user calls it: what it prints, and its exit code."""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.cli.app import main
from probe.image.rules import RULES
from tests.support.archive_files import FUZZ
from tests.support.archive_files import config_of
from tests.support.archive_files import docker_files
from tests.support.archive_files import info
from tests.support.archive_files import oci
from tests.support.archive_files import tar
from tests.support.archive_files import write
from tests.support.elf_files import make

LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def archive(files: dict[str, bytes], **config: object) -> bytes:
    """Return a docker-archive of executable files."""
    layer = _executable(files)
    image = docker_files(layer)
    image["c.json"] = config_of(layer, config=config)
    return tar(image)


def _executable(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for name, data in files.items():
            packed.addfile(info(name, size=len(data), mode=0o755), io.BytesIO(data))
    return out.getvalue()


GOOD = archive({"app": make(kind=2)}, Entrypoint=["/app"], User="65532:65532")
BAD = archive({"app": make("liba.so", interpreter="/lib/ld.so")}, Entrypoint=["/app"])


@pytest.fixture
def given_image(tmp_path: Path) -> Callable[[bytes], str]:
    def put(data: bytes) -> str:
        path = tmp_path / "image.tar"
        path.write_bytes(data)
        return str(path)

    return put


Put = Callable[[bytes], str]


def test_good(given_image: Put, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings alone are no failure."""
    assert main(["image", "audit", given_image(GOOD)]) == 0
    said = capsys.readouterr()
    assert "[health-check-missing]" in said.out
    assert said.err == ""


def test_bad(given_image: Put, capsys: pytest.CaptureFixture[str]) -> None:
    """An error is a line with its file and code, one with its reason, one with the way out."""
    assert main(["image", "audit", given_image(BAD)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error: /app: liba.so is in no directory")
    assert lines[0].endswith("[missing-library]")
    assert lines[1].startswith("    why: The loader ends the program")
    assert lines[2].startswith("    fix: put the library into the image")


def test_ignore(given_image: Put, capsys: pytest.CaptureFixture[str]) -> None:
    """What is ignored neither shows nor fails."""
    codes = ("missing-library", "missing-loader")
    options = [word for code in codes for word in ("--ignore", code)]
    assert main(["image", "audit", *options, given_image(BAD)]) == 0
    assert "missing-l" not in capsys.readouterr().out


def test_json(given_image: Put, capsys: pytest.CaptureFixture[str]) -> None:
    """The shape that the design gives, and nothing beside it."""
    assert main(["image", "audit", "--format", "json", given_image(BAD)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document.keys() == {"schema", "findings"}
    assert document["schema"] == 1
    for finding in document["findings"]:
        assert list(finding) == ["code", "severity", "path", "message", "fix"]
        assert finding["code"] in RULES
        assert finding["severity"] in LEVELS
        assert finding["message"]
        assert finding["fix"]
    ranks = [list(LEVELS).index(one["severity"]) for one in document["findings"]]
    assert ranks == sorted(ranks)


def test_sarif(given_image: Put, capsys: pytest.CaptureFixture[str]) -> None:
    """SARIF 2.1.0, 3.19 to 3.27: results point at their rules and places, in its own levels."""
    assert main(["image", "audit", "--format", "sarif", given_image(BAD)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in LEVELS.values()
        assert result["message"]["text"]
        for location in result.get("locations", ()):
            assert location["physicalLocation"]["artifactLocation"]["uri"]


def test_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`docker save IMAGE | probe image audit -`."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(BAD)))
    assert main(["image", "audit", "-"]) == 1
    assert "[missing-library]" in capsys.readouterr().out


def test_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with an OCI layout is an image, not a root."""
    assert main(["image", "audit", str(write(tmp_path, oci()))]) == 1
    assert "[missing-start]" in capsys.readouterr().out


REFUSED = [
    pytest.param(b"", "the archive is empty", id="empty"),
    pytest.param(b"#!/bin/bash\n" * 100, "not a tar", id="no tar"),
    pytest.param(GOOD[: len(GOOD) // 2], "truncated", id="truncated"),
    pytest.param(tar({"manifest.json": b"{"}), "manifest.json", id="no manifest"),
]


@pytest.mark.parametrize(("data", "why"), REFUSED)
def test_no_image(
    given_image: Put, data: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be read is exit 2 and one line that names it."""
    path = given_image(data)
    assert main(["image", "audit", path]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"probe: {path}: ")
    assert why in said.err
    assert said.err.count("\n") == 1


def test_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "audit", "/nonexistent"]) == 2
    assert capsys.readouterr().err == "probe: cannot read /nonexistent: no such file or directory\n"


def test_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "audit"]) == 2
    assert "which image?" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--explain", "--ignore"])
def test_unknown_code(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A code that does not exist is told, not passed over."""
    assert main(["image", "audit", option, "no-such"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("probe: no finding has the code 'no-such'")


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """One code with its reason, its way out, and both examples."""
    assert main(["image", "audit", "--explain", "missing-library"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("missing-library (error): ")
    assert [word for word in ("Why:", "Fix:", "Bad:", "Good:") if f"\n{word}" in said] == [
        "Why:",
        "Fix:",
        "Bad:",
        "Good:",
    ]


def test_explain_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "audit", "--explain", "all"]) == 0
    said = capsys.readouterr().out
    assert all(f"{code} ({rule.severity}): " in said for code, rule in RULES.items())


SCRIPT = b'#!/bin/bash\n. /lib.sh\nA=$(tr a b) || exec /app "$@"\n'
PARTS = {
    "app": make("liba.so", interpreter="/lib/ld.so", requires={"liba.so": ("A_1",)}),
    "lib/liba.so": make(soname="liba.so", provides=("A_1",)),
    "s.sh": SCRIPT,
    "etc/passwd": b"a:x:1:1::/:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
    "etc/ld.so.conf": b"include /etc/*.conf\n",
    "etc/ssl/certs/ca-certificates.crt": b"-----BEGIN CERTIFICATE-----\nMAA=\n",
    "var/lib/dpkg/status": b"Package: a\nStatus: install ok installed\n",
}


@FUZZ
@given(
    part=st.sampled_from(sorted(PARTS)),
    at=st.integers(0, 4000),
    junk=st.binary(max_size=40),
    cut=st.booleans(),
)
def test_damaged_files(part: str, at: int, junk: bytes, *, cut: bool) -> None:
    """Whatever stands in an image's files, the audit ends with findings."""
    data = PARTS[part]
    at %= len(data)
    broken = data[:at] + junk + (b"" if cut else data[at + len(junk) :])
    image = archive({**PARTS, part: broken}, Entrypoint=["/s.sh"], Cmd=["/app"])
    assert _quietly(image) in {0, 1}


@FUZZ
@given(data=st.binary(max_size=2000) | st.integers(0, len(BAD)).map(lambda size: BAD[:size]))
def test_random_bytes(data: bytes) -> None:
    """Bytes that are no image are refused, none with a traceback."""
    assert _quietly(data) in {0, 1, 2}


def _quietly(data: bytes) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        patch.setattr(sys, "stdout", io.StringIO())
        patch.setattr(sys, "stderr", io.StringIO())
        return main(["image", "audit", "-"])


@pytest.mark.parametrize("command", ["audit", "build --binary a -o b"])
def test_without_the_extra(command: str, tmp_path: Path) -> None:
    """Where the extra is not installed, one line says which it is."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules.update(tree_sitter=None, tree_sitter_bash=None)\n"
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "probe", "image", *command.split()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("pip install 'split-probe[image]'\n")
    assert done.stderr.count("\n") == 1
