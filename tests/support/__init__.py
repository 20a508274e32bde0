"""What the tests stand on: the probes as programs, small servers, components of the machine."""
