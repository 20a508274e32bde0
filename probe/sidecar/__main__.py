"""The sidecar without the weight of a command line: `probe sidecar` becomes this by exec.

Parsing with typer leaves 13 MB behind (pydantic), of a sidecar's 41.
"""

import sys

from probe.sidecar.app import LoopFactory
from probe.sidecar.app import run
from probe.sidecar.configuration.documents import ConfigError
from probe.sidecar.configuration.sources import Source
from probe.sidecar.configuration.sources import from_text
from probe.sidecar.process import hold_standard_descriptors


def main(source: Source, loop: str) -> int:
    """Run until it is stopped; *loop* is asyncio, uvloop, or auto. Returns the exit code."""
    hold_standard_descriptors()
    try:
        run(source, loop_factory(loop))
    except ConfigError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"cannot listen: {error.strerror or error}")
    except KeyboardInterrupt:
        return 130
    return 0


def loop_factory(loop: str) -> LoopFactory | None:
    """Return what makes loops; auto is uvloop where it is there."""
    if loop == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415 # an extra
    except ImportError:
        return None
    factory: LoopFactory = uvloop.new_event_loop
    return factory


def _failed(message: str) -> int:
    if sys.__stderr__ is not None:
        sys.__stderr__.write(f"probe: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(from_text(sys.argv[1]), sys.argv[2]))
