"""Builds native Python packages as wheels for CPython 3.14 on WASI."""
