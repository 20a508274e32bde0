"""Rules of what was left behind: told where it is certain, and never with the secret itself."""

from collections.abc import Mapping

import pytest

from probe.image.rules import leftovers as rules
from probe.image.rules.rule import Rule
from probe.image.sketch import Drawn
from probe.image.sketch import Folder
from probe.image.sketch import Link
from probe.image.sketch import Program
from probe.image.sketch import Text
from probe.image.sketch import static
from probe.image.view import ImageConfig
from tests.image.rules.judging import judge
from tests.image.rules.judging import places

APP: dict[str, Drawn] = {"/app": static()}
RUNS_APP = ImageConfig(entrypoint=("/app",), user="65532")
SETUID = Text("", 0o4755)
KEY = "-----BEGIN {}PRIVATE KEY-----\nMC4=\n"
OWNED: dict[str, Drawn] = {
    "/var/lib/dpkg/status": Text("Package: login\nVersion: 1\n"),
    "/var/lib/dpkg/info/login.list": Text("/bin/su\n/usr/share/login/a.key\n"),
}

SETUID_CASES = [
    pytest.param({"/usr/bin/x": SETUID}, [("warning", "/usr/bin/x")], id="nobody's"),
    pytest.param({**OWNED, "/usr/bin/su": SETUID}, [("info", "/usr/bin/su")], id="a package's"),
    pytest.param(
        {**OWNED, "/usr/bin/su": SETUID, "/usr/bin/x": SETUID},
        [("warning", "/usr/bin/x"), ("info", "/usr/bin/su")],
        id="one of each",
    ),
    pytest.param({"/usr/bin/x": Text("", 0o2755)}, [("warning", "/usr/bin/x")], id="setgid"),
    pytest.param({"/usr/bin/x": Text("", 0o2644)}, [], id="setgid without execute"),
    pytest.param({"/srv": Folder(0o2775)}, [], id="setgid directory"),
    pytest.param({"/usr/bin/x": Text("", 0o1755)}, [], id="sticky"),
]


@pytest.mark.parametrize(("files", "expected"), SETUID_CASES)
def test_setuid(files: Mapping[str, Drawn], expected: list[tuple[str, str]]) -> None:
    """A package's own are noted, others warned of; one finding of each."""
    assert places(rules.setuid_file, {**APP, **files}, RUNS_APP) == expected


def test_setuid_command() -> None:
    """What the image itself starts is warned of, whoever owns it."""
    files: dict[str, Drawn] = {**OWNED, "/usr/bin/su": Program(interpreter=None, mode=0o4755)}
    config = ImageConfig(entrypoint=("/usr/bin/su",))
    assert places(rules.setuid_file, files, config) == [("warning", "/usr/bin/su")]


CASES = [
    pytest.param(
        rules.world_writable, {"/a": Text("", 0o666)}, [("warning", "/a")], id="writable file"
    ),
    pytest.param(rules.world_writable, {"/var/tmp": Folder(0o1777)}, [], id="sticky"),
    pytest.param(rules.world_writable, {"/lib": Link("usr/lib")}, [], id="links have mode 0777"),
    pytest.param(rules.world_writable, {"/dev/null": Text("", 0o666)}, [], id="device"),
    pytest.param(
        rules.world_writable,
        {"/b": Folder(0o777), "/a": Folder(0o777)},
        [("warning", "/a")],
        id="many are one finding",
    ),
    pytest.param(
        rules.package_manager_left,
        {"/sbin/apk": static()},
        [("info", "/sbin/apk")],
        id="Alpine's",
    ),
    pytest.param(rules.package_manager_left, {"/opt/apk": static()}, [], id="outside PATH"),
    pytest.param(
        rules.shell_left,
        {"/bin/busybox": static(), "/bin/sh": Link("busybox")},
        [("info", "/bin/sh")],
        id="busybox",
    ),
    pytest.param(
        rules.private_key_left,
        {"/etc/app/tls.key": Text(KEY.format(""))},
        [("warning", "/etc/app/tls.key")],
        id="PKCS 8",
    ),
    pytest.param(
        rules.private_key_left,
        {"/etc/app/tls.pem": Text("-----BEGIN CERTIFICATE-----\n" + KEY.format("EC "))},
        [("warning", "/etc/app/tls.pem")],
        id="behind a certificate",
    ),
    pytest.param(
        rules.private_key_left,
        {"/etc/ssh/ssh_host_rsa_key": Text(KEY.format("RSA "))},
        [("warning", "/etc/ssh/ssh_host_rsa_key")],
        id="host key",
    ),
    pytest.param(
        rules.private_key_left,
        {"/etc/app/tls.key": Text("-----BEGIN PUBLIC KEY-----\n")},
        [],
        id="public",
    ),
    pytest.param(
        rules.private_key_left,
        {"/usr/lib/node_modules/x/test/a.key": Text(KEY.format(""))},
        [],
        id="of a test suite",
    ),
    pytest.param(
        rules.private_key_left,
        {**OWNED, "/usr/share/login/a.key": Text(KEY.format(""))},
        [],
        id="a package's",
    ),
    pytest.param(
        rules.private_key_left,
        {"/etc/ssl/private/ssl-cert-snakeoil.key": Text(KEY.format(""))},
        [],
        id="snakeoil",
    ),
    pytest.param(rules.private_key_left, {"/a.key": Folder()}, [], id="directory"),
    pytest.param(
        rules.git_left,
        {"/src/.git/HEAD": Text(""), "/src/.git/modules/a/HEAD": Text("")},
        [("info", "/src/.git")],
        id="one repository",
    ),
    pytest.param(
        rules.cache_left, {"/var/cache/apt/archives/lock": Text("")}, [], id="an empty cache"
    ),
    pytest.param(
        rules.cache_left,
        {"/tmp/a": Text("x" * 60_000), "/root/.cache/pip/b": Text("x" * 60_000)},
        [("info", "/root/.cache/pip/b")],
        id="several small ones",
    ),
]


@pytest.mark.parametrize(("rule", "files", "expected"), CASES)
def test_cases(rule: Rule, files: Mapping[str, Drawn], expected: list[tuple[str, str]]) -> None:
    """Each is told once, and what everybody has is not told."""
    assert places(rule, {**APP, **files}, RUNS_APP) == expected


def test_shell_that_is_used() -> None:
    """A shell that a script of the image runs in is no leftover, and a bare root has none."""
    files: dict[str, Drawn] = {"/bin/bash": static(), "/run": Text("#!/bin/bash\nexit 0\n")}
    assert places(rules.shell_left, files, ImageConfig(entrypoint=("/run",))) == []
    assert places(rules.shell_left, {**APP, "/bin/bash": static()}) == []


SECRETS = [
    ("/root/.aws/credentials", "[default]\naws_secret_access_key = s3cr3t\n", True),
    ("/root/.aws/credentials", "[default]\nregion = eu\n", False),
    ("/root/.docker/config.json", '{"auths": {"r.example": {"auth": "czNjcjN0"}}}', True),
    ("/root/.docker/config.json", '{"credsStore": "pass"}', False),
    ("/srv/.npmrc", "//r.example/:_authToken=s3cr3t\n", True),
    ("/srv/.npmrc", "//r.example/:_authToken=${NPM_TOKEN}\n", False),
    ("/root/.pypirc", "[pypi]\nusername = a\npassword = s3cr3t\n", True),
    ("/root/.netrc", "machine a login b\npassword s3cr3t\n", True),
    ("/root/.git-credentials", "https://a:s3cr3t@example.com\n", True),
    ("/src/.git/config", "[remote]\nurl = https://a:s3cr3t@example.com/a\n", True),
    ("/src/.git/config", "[remote]\nurl = https://example.com/a\n", False),
    ("/root/.pgpass", "host:5432:db:user:s3cr3t\n", True),
    ("/root/.pgpass", "# host:5432:db:user:pw\n", False),
    ("/root/.my.cnf", "[client]\npassword = s3cr3t\n", True),
    ("/root/.kube/config", "users:\n- user:\n    token: s3cr3t\n", True),
    ("/a/application_default_credentials.json", '{"refresh_token": "s3cr3t"}', True),
    ("/srv/.env", "PORT=1\nexport DB_PASSWORD='s3cr3t'\n", True),
    ("/srv/.env", "DB_PASSWORD=\nTOKEN=$OTHER\n# API_KEY=s3cr3t\n", False),
    ("/srv/.env", "PASSWORD_MIN=8\n", False),
    ("/srv/my.env", "DB_PASSWORD=s3cr3t\n", False),
]


@pytest.mark.parametrize(("path", "text", "is_secret"), SECRETS)
def test_secrets(path: str, text: str, *, is_secret: bool) -> None:
    """A file that such programs read, with a secret in it; the secret itself is never shown."""
    found = judge(rules.secret_left, {**APP, path: Text(text, 0o600)}, RUNS_APP)
    assert [(one.severity.value, one.path) for one in found] == [("warning", path)] * is_secret
    assert "s3cr3t" not in repr(found)


VARIABLES = [
    ("DB_PASSWORD", "s3cr3t", True),
    ("SPLIT_SYNC_APIKEY", "s3cr3t", True),
    ("github_token", "s3cr3t", True),
    ("AWS_SECRET_ACCESS_KEY", "s3cr3t", True),
    ("DB_PASSWORD_FILE", "/run/secrets/db", False),
    ("DB_PASSWORD", "", False),
    ("DB_PASSWORD", "$OTHER", False),
    ("MYSQL_ALLOW_EMPTY_PASSWORD", "yes", False),
    ("TOKEN_LIFETIME", "3600", False),
    ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D", False),
    ("PATH", "/usr/bin", False),
]


@pytest.mark.parametrize(("name", "value", "is_secret"), VARIABLES)
def test_variables(name: str, value: str, *, is_secret: bool) -> None:
    """The name is shown, the value is not."""
    config = ImageConfig(entrypoint=("/app",), env={name: value})
    found = judge(rules.secret_in_environment, APP, config)
    assert [name in one.message for one in found] == [True] * is_secret
    assert "s3cr3t" not in repr(found)
