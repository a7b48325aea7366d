"""Compares answers."""

import re
import unicodedata


def normalized(text):
    """Lower case, without accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9 ]", "", plain.lower()).strip()
