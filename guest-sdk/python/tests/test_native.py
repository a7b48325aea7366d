"""Native packages with a recipe: which are chosen, and how their wheels come in."""

import os
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

from orwd_build import vendor
from orwd_build.errors import BuildError
from orwd_build.native import Recipes

TAG = "cp314-cp314-wasi_wasm32"

BUILDER = """
import pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "asked.txt").open("a") as asked:
    asked.write(" ".join(sys.argv[3:]) + "\\n")
print(f"building {sys.argv[-1]} for WASI: about 1 minute, once", file=sys.stderr)
found = sorted((here / "made").glob(f"{sys.argv[-1]}-*.whl"))
if not found:
    print("error: the compiler is missing\\n  install it", file=sys.stderr)
    sys.exit(1)
print("/first/what/it/needs.whl")
print(found[0])
"""


def write_wheel(folder: Path, name: str, tag: str, files: dict[str, str], requires: str = "") -> None:
    info = f"{name}-1.2.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{requires}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.2-{tag}.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
        wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


class Wheels(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.recipe("slow_native", 'requires = ["pure-part>=1"]\n')
        self.recipe("other_native")
        self.recipe("jiter")
        (self.folder / "wheels/build.py").write_text(BUILDER)
        links = self.folder / "links"
        write_wheel(links, "pure_part", "py3-none-any", {"pure_part.py": ""})
        write_wheel(links, "client", "py3-none-any", {"client.py": ""}, "Requires-Dist: jiter>=0.10,<1\n")
        settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links), "PIP_CONFIG_FILE": os.devnull}
        patch = mock.patch.dict(os.environ, settings)
        patch.start()
        self.addCleanup(patch.stop)
        self.said = []
        (self.folder / "work").mkdir()
        self.packages = self.folder / "work/packages"

    def recipe(self, name, more=""):
        path = self.folder / f"wheels/recipes/{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        version = "0.19" if name == "jiter" else "1.2"
        path.write_text(f'name = "{name}"\nversion = "{version}"\n{more}')

    def made(self, name):
        write_wheel(self.folder / "wheels/made", name, TAG, {f"{name}/__init__.py": "real = True"})

    def collect(self, *lines, index=None, wheels=()):
        recipes = Recipes(self.folder / "wheels", self.folder / "cache", index, self.said.append)
        return vendor.others(list(lines), [], list(wheels), recipes, self.packages, self.said.append)

    def asked(self):
        path = self.folder / "wheels/asked.txt"
        return path.read_text().splitlines() if path.exists() else []

    def test_the_wheel_of_a_recipe_is_built_when_an_environment_requires_it(self):
        self.made("slow_native")
        self.assertEqual(self.collect("Slow.Native>=1"), [])
        self.assertEqual((self.packages / "slow_native/__init__.py").read_text(), "real = True")
        self.assertTrue((self.packages / "pure_part.py").exists())
        self.assertEqual(list(self.packages.glob("*/orwd-placeholder")), [])
        self.assertIn("building slow_native for WASI: about 1 minute, once", self.said)
        # Nothing else is built.
        self.assertEqual(self.asked(), ["slow_native"])

    def test_wheels_are_fetched_from_an_index(self):
        self.made("slow_native")
        self.collect("slow_native", index="https://wheels.example")
        self.assertEqual(self.asked(), ["--wheel-index https://wheels.example slow_native"])

    def test_another_version_than_that_of_the_recipe_is_refused_before_anything_is_built(self):
        with self.assertRaisesRegex(BuildError, "no version of slow-native fits 'slow-native==9'; there are 1.2"):
            self.collect("slow-native==9")
        self.assertEqual(self.asked(), [])

    def test_a_build_that_fails_says_why_and_what_else_to_do(self):
        with self.assertRaises(BuildError) as raised:
            self.collect("other-native")
        said = str(raised.exception)
        self.assertIn("no wheel of other_native for WASI yet", said)
        self.assertIn("the compiler is missing\n  install it", said)
        self.assertIn("--wheel-index URL", said)

    def test_what_others_require_and_rarely_use_is_built_only_if_the_environment_requires_it(self):
        self.assertEqual(self.collect("client"), ["jiter"])
        self.assertEqual(self.asked(), [])
        self.packages = self.folder / "second/packages"
        self.packages.parent.mkdir()
        write_wheel(self.folder / "wheels/made", "jiter", TAG, {"jiter/__init__.py": "real = True"})
        self.assertEqual(self.collect("client", "jiter"), [])
        self.assertEqual((self.packages / "jiter/__init__.py").read_text(), "real = True")

    def test_what_others_rarely_use_is_used_if_its_wheel_is_there(self):
        there = self.folder / "there"
        write_wheel(there, "regex", TAG, {"regex/__init__.py": "real = True"})
        write_wheel(self.folder / "links", "language", "py3-none-any", {"language.py": ""}, "Requires-Dist: regex>=1\n")
        self.assertEqual(self.collect("language", wheels=[there]), [])
        self.assertEqual((self.packages / "regex/__init__.py").read_text(), "real = True")


if __name__ == "__main__":
    unittest.main()
