"""What a sidecar is told, by whom, and every fault of it with its place. Pure but for `sources`."""
