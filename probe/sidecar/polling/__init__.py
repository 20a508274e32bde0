"""When targets are checked, and how: one loop, callbacks, one deadline a check."""
