"""Downloads one source distribution from the configured package index.

`pip download` would run the build system of the package to learn its metadata.
This program runs in the tools' environment, whose version of pip is pinned, and
uses pip's own search and download, with the user's settings of index and proxy.
"""

import sys

from pip._internal.commands.download import DownloadCommand
from pip._internal.network.download import Downloader
from pip._vendor.packaging.specifiers import SpecifierSet


def main(project: str, version: str, folder: str) -> int:
    """Downloads a source distribution into a folder and prints its path."""
    command = DownloadCommand("download", "Download a source distribution")
    with command.main_context():
        options, _ = command.parse_args(["--no-deps", "--no-binary", ":all:", project])
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        found = finder.find_best_candidate(project, SpecifierSet(f"=={version}"))
        if found.best_candidate is None:
            print(f"the package index has no sources of {project} {version}", file=sys.stderr)
            return 1
        path = Downloader(session, "off")(found.best_candidate.link, folder)[0]
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
