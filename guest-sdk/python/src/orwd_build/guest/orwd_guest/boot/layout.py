"""Where things are while a component is built, and what the build command said."""

import json
from typing import Any

# `componentize-py` mounts the folders of its path under their numbers.
LIBRARY = "/python"
SDK = "/0"
AUTHOR = "/1"
PACKAGES = "/2"
DATA = "/3"

#: Where packages look for settings and data of the user.
HOME = "/tmp"

GUEST_DATA = "/orwd_data"


def read_request() -> dict[str, Any]:
    """Returns what to build."""
    with open(f"{SDK}/request.json", encoding="utf-8") as file:
        return json.load(file)


def write_report(report: dict[str, Any]) -> None:
    """Writes the report that the build command reads."""
    with open(f"{SDK}/report.json", "w", encoding="utf-8") as file:
        json.dump(report, file)
