"""The sidecar: polls targets, remembers what it found, exports it, answers for the container.

Pure: settings, config, discovery, states, store, agenda, judgement, lines, metrics, page, allow.
The rest touches the world: the scheduler, the checks and look-ups, the listeners.
"""
