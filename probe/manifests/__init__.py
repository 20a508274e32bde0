"""From one description to every platform's document, and back.

`spec` says what is deployed and how it is checked; one module a format builds its document of that
and reads it back; `emit` writes documents as text; `wiring` edits existing files.
"""
