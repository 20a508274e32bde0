"""An image's configuration."""

import pytest

from probe.image.archives import parse_config
from probe.image.archives import this_architecture
from probe.image.view import ViewError
from tests.support.archive_files import CONFIG


def test_config() -> None:
    config = parse_config(CONFIG, "docker")
    assert config.entrypoint == ("/app",)
    assert config.cmd == ("--x",)
    assert config.env == {"PATH": "/bin", "A": "b=c", "EMPTY": ""}
    assert (config.user, config.workdir, config.stop_signal) == ("65532:65532", "/w", "SIGTERM")
    assert (config.volumes, config.exposed) == (("/tmp",), ("3010/tcp",))
    assert config.labels == {"k": "v"}
    assert config.healthcheck == {"Test": ["CMD", "/h"], "Interval": 10**9, "Retries": 3}
    assert config.shell == ("/bin/bash", "-c")
    assert (config.os, config.architecture) == ("linux", this_architecture())


@pytest.mark.parametrize(
    "run",
    [None, {}, {"Env": None, "Cmd": None, "Healthcheck": None, "Shell": None}],
    ids=["null", "{}", "nulls"],
)
def test_config_without(run: object) -> None:
    config = parse_config({"config": run}, "oci")
    assert (config.cmd, config.env, config.healthcheck, config.shell) == ((), {}, None, ())


def test_config_command_as_one_string() -> None:
    assert parse_config({"config": {"Cmd": "/x"}}, "docker").cmd == ("/x",)


BAD_CONFIGS = [
    ([], "is not a JSON object"),
    ({"config": []}, "config has the wrong type"),
    ({"config": {"Env": "A=b"}}, "Env has the wrong type"),
    ({"config": {"Env": [1]}}, "Env has the wrong type"),
    ({"config": {"Shell": "/bin/sh -c"}}, "Shell has the wrong type"),
    ({"config": {"User": 0}}, "User has the wrong type"),
    ({"config": {"Labels": {"a": 1}}}, "Labels has the wrong type"),
    ({"config": {"Healthcheck": {"Retries": "3"}}}, "Healthcheck: Retries has the wrong type"),
    ({"config": {"Healthcheck": {"Retries": True}}}, "Healthcheck: Retries has the wrong type"),
    ({"os": 1}, "os has the wrong type"),
]


@pytest.mark.parametrize(("document", "message"), BAD_CONFIGS, ids=[m for _, m in BAD_CONFIGS])
def test_bad_config(document: object, message: str) -> None:
    with pytest.raises(ViewError, match=message):
        parse_config(document, "docker")
