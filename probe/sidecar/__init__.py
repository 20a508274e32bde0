"""The sidecar: polls targets, remembers what it found, exports it, answers for the container.

`configuration` is what it is told, `polling` when and how it checks, `states` and `store` what it
remembers, `metrics` and `lines` what it says, `web` what it answers; `app` is the process. What of
it is pure stands in pyproject.toml, where import-linter holds it so.
"""
