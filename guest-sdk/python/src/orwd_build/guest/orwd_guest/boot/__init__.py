"""Prepares the interpreter while the component is built, and again in each instance."""
