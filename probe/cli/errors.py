"""Errors that a command tells in one line, with the exit code that goes with them."""


class ProbeError(Exception):
    """The thing asked for did not hold or could not be done."""

    exit_code = 1


class UsageError(ProbeError):
    """The command was not called right."""

    exit_code = 2
