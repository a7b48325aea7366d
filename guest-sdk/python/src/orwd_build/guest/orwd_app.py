"""The application of `componentize-py`: runs in the build, and exports the catalog."""

from orwd_guest.boot import build
from orwd_guest.wire.catalog import OrwdCatalog
from orwd_guest.wire import session  # noqa: F401

build.run()

__all__ = ["OrwdCatalog"]
