"""Where each input comes from: option, our variable, the synchronizer's own setting, default.

Texts hold one character for each byte (latin-1), for what is not ASCII is not valid anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from probe.contract.target import TLS
from probe.contract.target import VALID
from probe.contract.target import InvalidInputError
from probe.contract.target import Target
from probe.contract.target import require_valid
from probe.contract.value import value

TYPE_CHECKING = False  # typing itself costs 5 ms at every start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Environment = Mapping[str, str]
Found = tuple[str, str]  # a value and where it was found

_SERVICE_LINK = ("tcp://", "udp://", "sctp://")
_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "127.0.0.1", "[::1]": "::1"}  # noqa: S104


def _settings(name: str) -> tuple[str, str]:
    """Return the synchronizer's variables for an admin setting: split-sync's is read first."""
    return f"SPLIT_SYNC_ADMIN_{name}", f"SPLIT_PROXY_ADMIN_{name}"


def _own_host(environment: Environment) -> Found | None:
    for variable in _settings("HOST"):
        if variable in environment:
            value = environment[variable]
            return _ANY_ADDRESS.get(value, value), variable
    return None


def _own_port(environment: Environment) -> Found | None:
    for variable in _settings("PORT"):
        value = environment.get(variable, "")
        if value and not value.startswith(_SERVICE_LINK):
            return value, variable
    return None


def _own_tls(environment: Environment) -> Found | None:
    # The values that Go's strconv.ParseBool takes for true.
    for variable in _settings("TLS_ENABLED"):
        if value := environment.get(variable, ""):
            return str(int(value in {"1", "t", "T", "true", "TRUE", "True"})), variable
    return None


def _none(_environment: Environment) -> Found | None:
    return None


@value
class Input:
    """One row of the table of inputs; `name` is also the option.

    `form` is what a text must be like for `convert` to make the target's value of it.
    """

    name: str
    default: str
    form: str = ".*"
    convert: Callable[[str], Any] = str
    own: Callable[[Environment], Found | None] = _none

    @property
    def variable(self) -> str:
        return f"HEALTHCHECK_{self.name.upper()}"

    def find(self, options: Mapping[str, str], environment: Environment) -> Found:
        if self.name in options:
            return options[self.name], f"--{self.name}"
        value = environment.get(self.variable, "")
        if value and not (self.name == "port" and value.startswith(_SERVICE_LINK)):
            return value, self.variable
        return self.own(environment) or (self.default, "default")


INPUTS = (
    Input("host", "127.0.0.1", own=_own_host),
    Input("port", "3010", "[1-9][0-9]{0,4}", int, own=_own_port),
    Input("path", "/health/application"),
    Input("timeout", "3", r"(?=.{1,7}\Z)[0-9]+\.?[0-9]*s?", lambda text: float(text.rstrip("s"))),
    Input("expect", "200"),
    Input("tls", "0", "[01]", int, own=_own_tls),
)


def find_inputs(options: Mapping[str, str], environment: Environment) -> dict[str, Found]:
    return {row.name: row.find(options, environment) for row in INPUTS}


def make_target(found: Mapping[str, Found], tls: TLS) -> Target:
    """Make a target of texts.

    Raises InvalidInputError for the first faulty one in the table's order.
    """
    values = {}
    for row in INPUTS:
        text = found[row.name][0]
        if not re.fullmatch(row.form, text, re.DOTALL):
            raise InvalidInputError(row.name, text)
        values[row.name] = row.convert(text)
        if row.name in VALID:
            require_valid(row.name, values[row.name], text)
    return Target(**{**values, "tls": tls if values["tls"] else None})
