"""The commands: one file each; `app.py` holds the tree and the one error boundary."""
