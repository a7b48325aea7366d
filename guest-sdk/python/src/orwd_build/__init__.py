"""Builds components from Python environments. `orwd build` runs this package."""

__version__ = "0.1.0"
