"""What ECS alone knows of a deployment."""

from dataclasses import dataclass

from probe.manifests.spec import Dependent

_LAUNCHES = {"fargate": "FARGATE", "ec2": "EC2"}


@dataclass(frozen=True, slots=True)
class Options:
    """What ECS alone knows. `tmp_size` is in MiB; a `family` of None is the workload's name.

    `tmp_volume` says that the image declares VOLUME /tmp, so that a task volume there is writable.
    """

    launch: str = "fargate"
    log_group: str = ""
    region: str = ""
    execution_role: str = ""
    task_role: str | None = None
    arch: str = "x86_64"
    tmp_volume: bool = False
    tmp_size: int = 128
    ecs_exec: bool = False
    app: Dependent | None = None
    family: str | None = None

    @property
    def is_fargate(self) -> bool:
        return self.launch == "fargate"

    @property
    def launch_type(self) -> str:
        """The API's own word."""
        return _LAUNCHES[self.launch]
