"""What an image of each kind says of running it, and which wishes are refused."""

from dataclasses import replace
from typing import Any

import pytest

from probe.image.archives import parse_config
from probe.image.builder.errors import BuildError
from probe.image.builder.recipe import Recipe
from probe.image.builder.recipe import configuration
from probe.image.builder.recipe import kind_of
from probe.image.builder.recipe import written
from probe.image.view import ImageConfig
from probe.manifests.spec import Kind
from probe.scripts import script_text

SCRIPTS = {name: script_text(name) for name in ("entrypoint.sh", "functions.sh", "healthcheck.sh")}
SYNC = Recipe(Kind.SYNC, "split-sync")
PROXY = Recipe(Kind.PROXY, "split-proxy")
GENERIC = Recipe(Kind.GENERIC, "server")


def document(recipe: Recipe, architecture: str = "amd64", *, healthcheck: bool = True) -> Any:
    return configuration(
        recipe, architecture, "sha256:0", f"/usr/bin/{recipe.program}", healthcheck=healthcheck
    )


def config(recipe: Recipe) -> ImageConfig:
    return parse_config(document(recipe), "docker")


@pytest.mark.parametrize(
    ("recipe", "entrypoint", "cmd"),
    [
        pytest.param(SYNC, (), ("/entrypoint.sh",), id="sync"),
        pytest.param(PROXY, (), ("/entrypoint.sh",), id="proxy"),
        pytest.param(GENERIC, (), ("/usr/bin/server",), id="generic"),
        pytest.param(replace(SYNC, entrypoint=True), ("/entrypoint.sh",), (), id="entrypoint"),
        pytest.param(replace(GENERIC, entrypoint=True), ("/usr/bin/server",), (), id="both"),
    ],
)
def test_command(recipe: Recipe, entrypoint: tuple[str, ...], cmd: tuple[str, ...]) -> None:
    """CMD leaves ENTRYPOINT to tools that wrap the process; with --entrypoint arguments follow."""
    found = config(recipe)
    assert (found.entrypoint, found.cmd) == (entrypoint, cmd)


@pytest.mark.parametrize(
    ("recipe", "exposed", "volumes", "gin"),
    [
        pytest.param(SYNC, ("3010/tcp",), (), "release", id="sync"),
        pytest.param(PROXY, ("3000/tcp", "3010/tcp"), ("/tmp",), "release", id="proxy"),
        pytest.param(GENERIC, (), (), None, id="generic"),
    ],
)
def test_kind(
    recipe: Recipe, exposed: tuple[str, ...], volumes: tuple[str, ...], gin: str | None
) -> None:
    """Ports and the proxy's temporary directory are declared."""
    found = config(recipe)
    assert (found.exposed, found.volumes, found.env.get("GIN_MODE")) == (exposed, volumes, gin)
    assert (found.user, found.workdir, found.stop_signal) == ("65532:65532", "/", "SIGTERM")
    assert found.env["LC_ALL"] == "C"


def test_healthcheck() -> None:
    """In exec form, in nanoseconds, as the documents of `probe generate` have it; not for OCI."""
    assert document(SYNC)["config"]["Healthcheck"] == {
        "Test": ["CMD", "/bin/bash", "-p", "/healthcheck.sh"],
        "Interval": 10 * 10**9,
        "Timeout": 5 * 10**9,
        "StartPeriod": 60 * 10**9,
        "StartInterval": 2 * 10**9,
        "Retries": 3,
    }
    assert "Healthcheck" not in document(SYNC, healthcheck=False)["config"]


def test_labels_and_time() -> None:
    """The image's own labels may be replaced; time is what SOURCE_DATE_EPOCH says, in UTC."""
    recipe = replace(SYNC, epoch=1, labels={"a": "1", "org.opencontainers.image.title": "t"})
    assert document(recipe)["created"] == "1970-01-01T00:00:01Z"
    assert config(recipe).labels == {
        "a": "1",
        "org.opencontainers.image.created": "1970-01-01T00:00:01Z",
        "org.opencontainers.image.title": "t",
    }


@pytest.mark.parametrize(("architecture", "variant"), [("amd64", None), ("arm64", "v8")])
def test_variant(architecture: str, variant: str | None) -> None:
    """Where an architecture has variants, the one that Debian is for is named."""
    assert document(SYNC, architecture).get("variant") == variant


def test_kind_by_name() -> None:
    """A program is told by its file name."""
    names = ["split-sync", "split-proxy", "split-sync-2", "server"]
    assert [kind_of(name) for name in names] == [Kind.SYNC, Kind.PROXY, Kind.GENERIC, Kind.GENERIC]


@pytest.mark.parametrize(
    ("user", "passwd", "group"),
    [
        pytest.param("65532:65532", "nonroot:x:65532:65532:", "nonroot:x:65532:", id="default"),
        pytest.param("1000", "nonroot:x:1000:0:", "", id="no group is root's"),
        pytest.param("0", "", "", id="root"),
        pytest.param("65534:65534", "", "", id="nobody"),
    ],
)
def test_users(user: str, passwd: str, group: str) -> None:
    """The user has a name of its own where root and nobody are not meant; each uid stands once."""
    found = {item.path: item.data.decode() for item in written(replace(SYNC, user=user), SCRIPTS)}
    assert passwd in found["/etc/passwd"]
    assert group in found["/etc/group"]
    for name in ("/etc/passwd", "/etc/group"):
        ids = [line.split(":")[2] for line in found[name].splitlines()]
        assert len(ids) == len(set(ids))
        assert ("nonroot" in found[name]) == bool(passwd if "passwd" in name else group)


@pytest.mark.parametrize(
    ("recipe", "paths"),
    [
        pytest.param(SYNC, ["/entrypoint.sh", "/functions.sh", "/healthcheck.sh"], id="sync"),
        pytest.param(PROXY, ["/entrypoint.sh", "/functions.sh", "/healthcheck.sh", "/tmp"],
                     id="proxy"),
        pytest.param(GENERIC, ["/healthcheck.sh"], id="generic"),
    ],
)  # fmt: skip
def test_written(recipe: Recipe, paths: list[str]) -> None:
    """The scripts are the shipped ones, executable; the proxy's /tmp is for everybody."""
    found = {item.path: item for item in written(recipe, SCRIPTS)}
    assert [path for path in found if not path.startswith("/etc/")] == paths
    assert found["/healthcheck.sh"].data.decode() == SCRIPTS["healthcheck.sh"]
    modes = {found[path].mode for path in paths}
    assert modes == ({0o755, 0o1777} if recipe is PROXY else {0o755})


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        pytest.param({"user": "nonroot"}, "--user 'nonroot' is not UID", id="user"),
        pytest.param({"user": "1:"}, "--user '1:' is not UID", id="half a user"),
        pytest.param({"user": "01"}, "--user '01' is not UID", id="octal"),
        pytest.param({"tag": "Sync:1"}, "--tag 'Sync:1' is no image name", id="upper case"),
        pytest.param({"tag": "a:b:c"}, "--tag 'a:b:c' is no image name", id="two tags"),
        pytest.param({"tag": "a@sha256:1"}, "--tag 'a@sha256:1' is no image", id="digest"),
        pytest.param({"name": "a b"}, "--binary: the file name 'a b'", id="blank"),
        pytest.param({"name": ""}, "--binary: the file name ''", id="no name"),
    ],
)
def test_refused(wishes: dict[str, Any], said: str) -> None:
    """What no engine would take is refused before anything is read."""
    with pytest.raises(BuildError, match=said):
        replace(GENERIC, **wishes)


@pytest.mark.parametrize(
    ("tag", "reference"),
    [
        ("", ""),
        ("a", "a:latest"),
        ("h:5000/a", "h:5000/a:latest"),
        ("h:5000/a/b:1", "h:5000/a/b:1"),
    ],
)
def test_reference(tag: str, reference: str) -> None:
    """A name without a tag is `latest`, as engines have it; a port is no tag."""
    assert replace(SYNC, tag=tag).reference == reference
