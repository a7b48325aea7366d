"""The parts of `orwd check`."""
