"""What cannot be edited, and where."""


class WireError(ValueError):
    """A text that cannot be read or edited; `line` counts from 1."""

    def __init__(self, message: str, line: int = 1) -> None:
        self.message = message
        self.line = line
        super().__init__(message)
