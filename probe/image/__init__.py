"""Container images: what is in them, what they lack, and how to build a small one.

`view` says what a view of an image is, follows links and applies layers, purely; `archives` opens
a root directory, an archive or a layout as one.
"""
