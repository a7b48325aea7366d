"""Wheels that stand for packages with native code, where a package that the
environment requires requires them and may never use them."""

import re
import zipfile
from pathlib import Path

from orwd_build.requirements import normal

#: Modules whose names are not those of their packages.
MODULES = {"pyyaml": "yaml", "pillow": "PIL", "opencv-python": "cv2", "scikit-learn": "sklearn", "protobuf": "google"}


#: Packages that many others require and few use, with the version of the stand-in.
#: Without it pip tries every version of the package that requires one.
FREQUENT = {"regex": "9999", "jiter": "0.999", "tiktoken": "0.999", "tokenizers": "0.999"}


def is_in(name: str, packages: Path) -> bool:
    """Returns whether collected packages have the stand-in of one."""
    found = packages / MODULES.get(name, name.replace("-", "_")) / "__init__.py"
    return found.is_file() and "orwd_guest.absent" in found.read_text(encoding="utf-8", errors="replace")


def write(requirement: str, into: Path) -> str:
    """Writes a wheel for a requirement such as `regex>=2021.8.3`. Returns the name
    of the package."""
    name = re.split(r"[<>=!~;\[( ]", requirement)[0]
    pinned = re.search(r"(?:==|>=|~=)\s*([0-9][0-9A-Za-z.]*)", requirement)
    version = pinned.group(1) if pinned else "0"
    module = MODULES.get(normal(name), name.replace("-", "_").replace(".", "_"))
    stem = f"{normal(name).replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {
        f"{module}/__init__.py": "from orwd_guest.absent import install\n\ninstall(__name__)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: orwd\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    into.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(into / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
        record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
        wheel.writestr(f"{info}/RECORD", record)
    return name
