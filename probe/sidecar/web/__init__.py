"""What the sidecar answers: routes, the page, /probe, and who may ask."""
