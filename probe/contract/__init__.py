"""What healthy means: inputs, target, request bytes, status line, verdict, reasons. Pure.

Two implementations keep this contract: `probe.client` and `shell/healthcheck.sh`.
"""
