"""What an environment requires."""

import json
import os
import sys
import tempfile
import time
import unittest
from pathlib import Path

from orwd_build import absent, author_files, requirements, stage, vendor
from orwd_build.errors import BuildError


class Requirements(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def test_packages_of_the_host_are_left_out(self):
        self.write(
            "requirements.txt",
            "openreward==0.1.167  # pinned\nfastapi\nPydantic>=2\nnetworkx>=3 \\\n  --hash=sha256:00\n-r more.txt\n",
        )
        self.write("more.txt", "ors_sdk\nPyYAML ; python_version > '3'\n")
        read = requirements.read(self.folder)
        self.assertEqual(read.lines, ["networkx>=3", 'PyYAML; python_version > "3"'])
        self.assertEqual(read.left_out, ["openreward==0.1.167", "fastapi", "Pydantic>=2", "ors_sdk"])

    def test_a_project_and_its_lock(self):
        self.write("pyproject.toml", '[project]\nname = "x"\ndependencies = ["sympy", "openreward>=0.1"]\n')
        self.write(
            "uv.lock",
            '[[package]]\nname = "sympy"\nversion = "1.14"\nsource = { registry = "r" }\n'
            '[[package]]\nname = "x"\nversion = "0"\nsource = { virtual = "." }\n',
        )
        read = requirements.read(self.folder)
        self.assertEqual((read.lines, read.constraints), (["sympy"], ["sympy==1.14"]))

    def test_what_is_no_package_is_refused(self):
        for line in ("./local", "git+https://example.org/x", "--index-url https://example.org", "-r ../other.txt"):
            self.write("requirements.txt", line)
            with self.assertRaises(BuildError, msg=line):
                requirements.read(self.folder)

    def test_no_text_of_an_author_becomes_an_address_or_an_option_of_pip(self):
        evil = "evil @ http://127.0.0.1:1/evil-1.tar.gz"
        for wish in (
            evil,
            f"six>=1\n{evil}",
            "six>=1\n--index-url http://127.0.0.1:1",
            f"six ; python_version > '3\n{evil}'",
            "six==${ORWD_SEAL_KEY}",
            "six ; platform_release == '${ORWD_SEAL_KEY}'",
            "six\x1b[2J",
        ):
            self.write("pyproject.toml", f"[project]\ndependencies = [{json.dumps(wish)}]\n")
            with self.assertRaises(BuildError, msg=wish):
                requirements.read(self.folder)
        self.write("pyproject.toml", "")
        for name, version in (
            ("six @ http://127.0.0.1:1/evil.tar.gz#", "1"),
            ("six", f"1.17.0\n{evil}"),
            ("six", "1.17.0 ; python_version > '3'"),
            ("-r/etc/passwd", "1"),
        ):
            package = f"name = {json.dumps(name)}\nversion = {json.dumps(version)}\nsource = {{ registry = 'r' }}"
            self.write("uv.lock", f"[[package]]\n{package}\n")
            with self.assertRaises(BuildError, msg=name):
                requirements.read(self.folder)

    def test_only_regular_files_of_bounded_size_are_read(self):
        path = self.folder / "requirements.txt"
        path.symlink_to("/etc/hostname")
        with self.assertRaisesRegex(BuildError, "it is a link"):
            requirements.read(self.folder)
        path.unlink()
        path.write_bytes(b"#" * (requirements.MAX_FILE + 1))
        with self.assertRaisesRegex(BuildError, "more than"):
            requirements.read(self.folder)
        os.mkfifo(self.folder / "pipe")
        with self.assertRaisesRegex(BuildError, "not a regular file"):
            author_files.read(self.folder / "pipe", 1)

    def test_links_and_virtual_environments_are_no_part_of_an_environment(self):
        for name in ("env.py", "sub/part.py", ".git/x", "dist/x.wasm", "myvenv/pyvenv.cfg", "data/large", "x.pyc"):
            self.write(name, "")
        (self.folder / "link.py").symlink_to("/etc/passwd")
        files = stage.walk(self.folder, self.folder / "data")
        found = sorted(str(path.relative_to(self.folder)) for path in files)
        self.assertEqual(found, ["env.py", "sub/part.py"])

    def test_baked_data_stays_in_its_folder(self):
        self.write("data/tasks.json", "[]")
        stage.bake(self.folder / "data", ["tasks.json"], self.folder / "baked")
        self.assertTrue((self.folder / "baked/tasks.json").exists())
        for member in ("../data2", "nothing"):
            with self.assertRaises(BuildError):
                stage.bake(self.folder / "data", [member], self.folder / f"baked{len(member)}")

    def test_baked_data_has_no_links_and_no_pipes(self):
        self.write("secret/key", "hunter2")
        self.write("data/tasks.json", "[]")
        self.write("data/.hidden/x", "1")
        stage.bake(self.folder / "data", ["."], self.folder / "whole")
        self.assertTrue((self.folder / "whole/.hidden/x").exists())
        for made in (
            lambda path: path.symlink_to(self.folder / "secret"),
            lambda path: path.symlink_to(self.folder / "secret/key"),
            lambda path: path.symlink_to("/dev/zero"),
            os.mkfifo,
        ):
            path = self.folder / "data/x"
            made(path)
            for members in (["."], ["x"]):
                into = self.folder / "baked" / str(time.monotonic_ns())
                with self.assertRaises(BuildError):
                    stage.bake(self.folder / "data", members, into)
                self.assertFalse((into / "x").exists())
            path.unlink()

    def test_a_package_with_native_code_is_named(self):
        said = vendor.failure("ERROR: x (from versions: none)\nERROR: No matching distribution found for torch>=2")
        self.assertIn("torch cannot be used in an environment", str(said))
        said = vendor.failure("ERROR: x (from versions: 1.0, 2.0)\nERROR: No matching distribution found for x>3")
        self.assertIn("no version of x fits 'x>3'; there are 1.0, 2.0", str(said))

    def test_a_package_that_versions_require_differently_is_named(self):
        said = vendor.failure(
            "    jinja2 3.1.6 depends on MarkupSafe>=2.0\n    jinja2 2.11.3 depends on markupsafe>=0.23\nERROR: ResolutionImpossible"
        )
        self.assertIsInstance(said, vendor.MissingPackage)
        self.assertEqual(said.requirement, "MarkupSafe>=2.0")
        said = vendor.failure("    a 1 depends on b>1\n    c 1 depends on d>1\nERROR: ResolutionImpossible")
        self.assertNotIsInstance(said, vendor.MissingPackage)

    def test_a_stand_in_is_a_wheel_and_raises_when_it_is_used_in_a_session(self):
        from orwd_guest import absent as guest

        absent.write("regex>=2021.8.3", self.folder)
        wheel = self.folder / "regex-2021.8.3-py3-none-any.whl"
        sys.path.insert(0, str(wheel))
        self.addCleanup(sys.path.remove, str(wheel))
        import regex

        pattern = regex.compile("a", regex.I | regex.M)

        class Derived(regex.Scanner):
            pass

        self.addCleanup(setattr, guest, "building", True)
        guest.building = False
        for use in (lambda: pattern.match("a"), lambda: regex.compile("b"), Derived, lambda: list(pattern)):
            with self.assertRaisesRegex(ImportError, "regex has native code"):
                use()


if __name__ == "__main__":
    unittest.main()
