"""The options of `probe check`, declared once.

The light parser in `check.py` reads these rows; the typer command, which is there for --help and
completion, makes its signature from them.
"""

from collections.abc import Sequence

from probe.contract.inputs import INPUTS
from probe.contract.value import value


@value
class Option:
    """One row: without a metavar it is a flag."""

    name: str
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()


OPTIONS = (
    Option("host", "host to ask", "HOST"),
    Option("port", "port to ask, 1-65535", "PORT"),
    Option("path", "path to ask for", "PATH"),
    Option("timeout", "seconds for the whole check, look-up and connect included", "SECONDS"),
    Option("expect", "accepted codes and ranges: 200,300-399", "CODES"),
    Option("tls", "speak TLS"),
    Option("no-tls", "speak plain HTTP, whatever the environment says"),
    Option("ca", "PEM file with the authorities to trust", "FILE"),
    Option("cert", "PEM file with our certificate, for a server that asks for one", "FILE"),
    Option("key", "PEM file with its key, if not in --cert", "FILE"),
    Option("server-name", "name to verify and to send as SNI (default: the host)", "NAME"),
    Option("insecure", "do not verify the server's certificate"),
    Option("log", "an unhealthy line also goes to PID 1's stdout: the container's log"),
    Option("via", "who asks: the reference probe, or the shipped healthcheck.sh", "PROBE",
           ("reference", "shell")),
    Option("compare", "ask by both, show both, fail where they differ"),
    Option("trace", "show each phase with its time, and the bytes, on stderr"),
    Option("explain", "read the health bodies too: what they say, what it means, what to do"),
    Option("format", "how to print the result", "FORMAT", ("text", "json")),
)  # fmt: skip

CONTRACT_NAMES = [row.name for row in INPUTS]


def parse(arguments: Sequence[str]) -> tuple[dict[str, str], str | None]:
    """Return the options' values and the first argument that is none of ours.

    As healthcheck.sh does: `--x v` and `--x=v`, the last wins, a missing value is the empty one.
    """
    rows = {f"--{row.name}": row for row in OPTIONS}
    values: dict[str, str] = {}
    unknown: str | None = None
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        row = rows.get(name)
        if row is None or (equals and not row.metavar):
            unknown = argument if unknown is None else unknown
        elif row.metavar:
            values[row.name] = value if equals else next(rest, "")
        elif row.name in {"tls", "no-tls"}:
            values["tls"] = str(int(row.name == "tls"))
        else:
            values[row.name] = "1"
    return values, unknown
