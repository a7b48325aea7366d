"""What happens while the component is built: everything in the snapshot."""

import os
import sys
import traceback

from orwd_guest import absent, event_loop, network
from orwd_guest.boot import archive, author, files, layout, nesting, numeric, platform, seeding, warm


def run() -> None:
    """Prepares the interpreter, and loads the author's module unless it waits for
    the session."""
    try:
        layout.write_report(_run())
    except BaseException as error:
        layout.write_report(
            {
                "error": f"{type(error).__name__}: {error}",
                "expected": isinstance(error, author.NoEnvironment),
                "touched": files.touched,
                "traceback": traceback.format_exc(),
            }
        )
        raise
    warm.settle()


def _run() -> dict[str, object]:
    author.request = layout.read_request()
    # Packages look for their settings and data below it when they are imported.
    os.environ["HOME"] = layout.HOME
    platform.install()
    nesting.install()
    seeding.install()
    event_loop.install()
    network.install()
    warm.interpreter()
    files.install()
    numeric.install()
    author.keep_source()
    # Relative paths are those of the author's folder.
    os.chdir(layout.AUTHOR)
    data = author.request["data"]
    files.set_data({"declared": "stops", "baked": "baked"}.get(data, "absent"))
    before = set(sys.modules)
    deferred = None
    try:
        for cls in author.classes().values():
            warm.environment(cls)
        network.warm()
        files.set_data("absent")
    except files.DataTouched as error:
        deferred = str(error)
        author.unload(before)
        del error
    seeding.stop_noting()
    names = list(author.classes()) if deferred is None else None
    event_loop.forget()
    # Only from here on: what is imported so far needs no archive.
    archive.archive.load()
    archive.add_standard_library()
    archive.install()
    files.set_data("session")
    absent.building = False
    if author.request["network"]:
        network.connect()
    else:
        network.refuse()
    os.environ.clear()
    guessed = author.guessed_names() if names is None else names
    return {"names": names, "guessed": guessed, "deferred": deferred, "touched": files.touched}
