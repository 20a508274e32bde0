"""What the loaders of glibc and musl open before main() runs, and what they would miss. Pure."""
