"""Container images: what is in them, what they lack, and how to build a small one.

`view` has an image's files as one tree, `archives` opens one; `elf`, `loader` and `shell` know what
a program, a loader and a script need; `facts` gathers that from what the image starts, `rules`
judges it, `audit` does both; `builder` makes an image. All but `archives` and what writes in
`builder` is pure.
"""
