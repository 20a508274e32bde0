"""Why no image is made."""


class BuildError(ValueError):
    """Something that the image cannot be made with; `problems` has a sentence for each fault."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))
