"""The part of an environment on orwd that is the same for all: what `openreward` and `ors` stand on."""
