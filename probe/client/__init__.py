"""The reference probe: the contract's machine driven over real sockets, blocking and asyncio."""
