"""Health checks for containers that hold bash and nothing else.

>>> from probe import Target, check
>>> check(Target(port=3010)).healthy  # doctest: +SKIP
True
"""

TYPE_CHECKING = False  # typing itself costs 5 ms at every start
if TYPE_CHECKING:
    from typing import Any

    from probe.client.asynchronous import acheck as acheck
    from probe.client.blocking import check as check
    from probe.contract.target import TLS as TLS
    from probe.contract.target import Target as Target
    from probe.contract.verdict import Verdict as Verdict

__version__ = "0.1.0"

_EXPORTS = {
    "TLS": "probe.contract.target",
    "Target": "probe.contract.target",
    "Verdict": "probe.contract.verdict",
    "acheck": "probe.client.asynchronous",
    "check": "probe.client.blocking",
}
__all__ = ["TLS", "Target", "Verdict", "acheck", "check"]


def __getattr__(name: str) -> "Any":
    """Import what is exported when it is asked for: `probe check` never loads asyncio (PEP 562)."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'probe' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_EXPORTS[name]), name)
