"""Docker, ECS, Kubernetes, Compose and Podman as rows of data: fields, units, defaults, limits."""
