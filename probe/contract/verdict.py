"""Verdicts, their reasons, and the one line that tells them."""

from probe.contract.value import value

# The closed list of reasons: the word, and what it means. Detail may follow the word.
REASONS = {
    "200": "the status line came whole, in time, with an accepted code (here 200)",
    "status": "the status line came whole, with another code",
    "malformed": "the first bytes are no HTTP/1.0 or HTTP/1.1 status line",
    "closed": "the connection ended or was reset before the status line was complete",
    "timeout": "the deadline passed: in the name look-up, the connect, or the read",
    "refused": "nothing listens on that port of that address",
    "unreachable": "there is no route to that network or host",
    "unresolved": "the name has no address",
    "connect": "the connection failed in another way",
    "tls": "TLS was asked of healthcheck.sh, or failed in `probe check`",
    "usage": "an option or a variable has a value that is not valid",
    "no": "this bash was built without /dev/tcp (`no /dev/tcp`)",
    "bash": "this bash is older than 4.3 (`bash too old`)",
    "signal": "a signal ended the probe",
    "internal": "the probe itself failed",
}

# One fixed text for each reason that a hint helps; healthcheck.sh carries the same.
HINTS = {
    "refused": "nothing listens there, or not yet",
    "tls": "only probe check speaks TLS",
}


@value
class Verdict:
    """What one check found.

    `reason` is the accepted code (`200`) or a reason with its detail (`status 500`);
    `seconds` is the time from start to verdict.
    """

    reason: str
    seconds: float = 0.0

    @property
    def healthy(self) -> bool:
        return self.reason.isdigit()

    @property
    def word(self) -> str:
        """The reason without its detail: what JSON calls `reason` and metrics use as label."""
        return self.reason.partition(" ")[0].rstrip(":")

    @property
    def status(self) -> int | None:
        """The code of the status line, where a whole one came."""
        code = self.reason.removeprefix("status ")
        return int(code) if code.isdigit() else None

    @property
    def line(self) -> str:
        """The one line on stdout: at most 120 printable ASCII bytes, no line end."""
        if self.healthy:
            return f"healthy: {self.reason}"
        hint = HINTS.get(self.word)
        return f"unhealthy: {self.reason}" + (f" ({hint})" if hint else "")
