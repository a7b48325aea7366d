"""The parts of the wheel builder that need no compiler."""

import dataclasses
import hashlib
import shutil
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

WHEELS = Path(__file__).parents[2] / "wheels"
sys.path.insert(0, str(WHEELS))

if sys.version_info < (3, 11):
    raise unittest.SkipTest("building wheels needs Python 3.11")

import build  # noqa: E402
from wasi_wheels import pack  # noqa: E402
from wasi_wheels.programs import compiler  # noqa: E402
from wasi_wheels.recipe import RecipeError, load, names  # noqa: E402
from wasi_wheels.tools import Tools  # noqa: E402

SETTINGS = {
    "zig": "zig",
    "source": "/s",
    "include": "/i",
    "python": "/p",
    "stubs": "stubs.a",
    "builtins": "rt.a",
    "extra-_multiarray_umath": "fe.o",
}


class Recipes(unittest.TestCase):
    """Every recipe is complete and pinned."""

    def test_sources_are_pinned_and_routes_exist(self):
        self.assertIn("pydantic_core", names())
        for name in names():
            with self.subTest(name):
                recipe = load(name)
                self.assertEqual(recipe.name.lower(), name.lower())
                self.assertIn(recipe.route, build.ROUTES)
                if recipe.source.folder is None:
                    self.assertRegex(recipe.source.sha256, "^[0-9a-f]{64}$")
                for needed in recipe.needs:
                    load(needed)

    def test_every_recipe_has_the_digest_of_its_wheel(self):
        self.assertEqual(sorted(build.digests()), sorted(load(name).title for name in names()))

    def test_what_pip_is_told_before_the_build_is_what_the_wheel_says(self):
        recipe = dataclasses.replace(load("msgpack"), requires=("a>=1", "tzdata"))
        metadata = "Name: msgpack\n" + "".join(f"Requires-Dist: {line}\n" for line in recipe.requires)
        metadata += 'Requires-Dist: tzdata; sys_platform == "win32"\nRequires-Dist: x; extra == "all"\n\nRequires-Dist: text\n'
        with tempfile.TemporaryDirectory() as folder:
            source, site = Path(folder, "source"), Path(folder, "site")
            source.mkdir()
            site.mkdir()
            (source / "LICENSE").touch()
            (source / "PKG-INFO").write_text(metadata)
            pack.write_metadata(recipe, source, site)
            (source / "PKG-INFO").write_text("Requires-Dist: more\n" + metadata)
            with self.assertRaisesRegex(RecipeError, r"`requires` lacks \['more'\]"):
                pack.write_metadata(recipe, source, site)

    def test_needs_come_first(self):
        ordered = [recipe.name for recipe in build.in_order([load(name) for name in names()])]
        self.assertEqual(sorted(ordered), sorted(load(name).name for name in names()))
        for name in names():
            for needed in load(name).needs:
                self.assertLess(ordered.index(needed), ordered.index(load(name).name))

    def test_names_of_the_index_lead_to_recipes(self):
        self.assertEqual(load("pydantic-core").name, "pydantic_core")
        with self.assertRaisesRegex(RecipeError, "no recipe for 'torch'"):
            load("torch")


class Committed(unittest.TestCase):
    """The wheels in the repository are those that the digests name."""

    def test_committed_wheels_have_their_digests(self):
        known = build.digests()
        wheels = list((WHEELS / "dist").glob("*.whl"))
        self.assertTrue(wheels, "no wheel in dist")
        for wheel in wheels:
            recipe = load(wheel.name.split("-")[0])
            content, file = known[recipe.title]
            self.assertEqual(wheel.name, recipe.wheel)
            self.assertEqual(pack.record_digest(recipe, wheel), content)
            self.assertEqual(hashlib.sha256(wheel.read_bytes()).hexdigest(), file)

    def test_a_changed_wheel_is_found(self):
        recipe = load("pydantic_core")
        with tempfile.TemporaryDirectory() as folder:
            changed = Path(folder, recipe.wheel)
            with zipfile.ZipFile(WHEELS / "dist" / recipe.wheel) as old:
                with zipfile.ZipFile(changed, "w") as new:
                    for name in old.namelist():
                        extra = b" " if name.endswith("__init__.py") else b""
                        new.writestr(name, old.read(name) + extra)
            with self.assertRaisesRegex(RecipeError, "is not what RECORD says"):
                pack.record_digest(recipe, changed)


class Fetched(unittest.TestCase):
    """A wheel from an index is what the digests name, or it is refused."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.index = Path(folder.name, "index")
        self.index.mkdir()
        self.tools = Tools(Path(folder.name, "cache"))
        self.tools.folder.mkdir()
        self.recipe = load("pydantic_core")
        self.committed = WHEELS / "dist" / self.recipe.wheel

    def fetch(self):
        # As if the repository had no wheel of it.
        with mock.patch.object(build, "HERE", self.index):
            return build.get(self.recipe, self.tools, self.index.as_uri())

    def test_a_wheel_with_the_content_of_the_digests_is_kept(self):
        shutil.copyfile(self.committed, self.index / self.recipe.wheel)
        kept = self.fetch()
        self.assertEqual(kept.read_bytes(), self.committed.read_bytes())
        (self.index / self.recipe.wheel).unlink()
        self.assertEqual(self.fetch(), kept)

    def test_other_wheels_are_refused(self):
        with self.assertRaisesRegex(RecipeError, "cannot fetch file:"):
            self.fetch()
        for name, content in (("more.py", None), (f"{self.recipe.dist_info}/RECORD", b"")):
            with zipfile.ZipFile(self.committed) as old:
                with zipfile.ZipFile(self.index / self.recipe.wheel, "w") as new:
                    for member in old.namelist():
                        new.writestr(member, content if member == name else old.read(member))
                    if content is None:
                        new.writestr(name, "")
            with self.assertRaisesRegex(RecipeError, "other files than RECORD names"):
                self.fetch()
        record = f"{self.recipe.dist_info}/RECORD"
        with zipfile.ZipFile(self.index / self.recipe.wheel, "w") as empty:
            empty.writestr(record, f"{record},,\n")
        with self.assertRaisesRegex(RecipeError, "but digests.txt says"):
            self.fetch()
        self.assertEqual(list(self.tools.folder.rglob("*.whl")), [])


class Packing(unittest.TestCase):
    """A wheel depends on its content only."""

    def test_the_same_content_gives_the_same_bytes(self):
        recipe = load("pydantic_core")
        made = []
        for order in (1, -1):
            with tempfile.TemporaryDirectory() as folder:
                site = Path(folder, "site")
                for name in ["p/a.py", "p/b.so", "p/tests/t.py", "p/c.pyi", "p/include/h.h"][::order]:
                    (site / name).parent.mkdir(parents=True, exist_ok=True)
                    (site / name).write_text(name)
                wheel, digest = pack.pack(recipe, site, Path(folder))
                with zipfile.ZipFile(wheel) as archive:
                    listed = archive.namelist()
                made.append((wheel.read_bytes(), digest))
        self.assertEqual(made[0], made[1])
        record = f"{recipe.dist_info}/RECORD"
        self.assertEqual(listed, ["p/a.py", "p/b.so", "p/include/h.h", record])


class Compiler(unittest.TestCase):
    """The driver keeps what matters of a command line."""

    def test_flags_of_other_platforms_are_dropped(self):
        line = compiler.parse(
            ["-shared", "-O2", "-o", "m.so", "a.c", "b.o", "-lm", "-L/x", "-Wl,-z,now", "-D", "A=1", "-pthread"]
        )
        self.assertEqual(line.output, "m.so")
        self.assertEqual((line.sources, line.objects), (["a.c"], ["b.o"]))
        self.assertEqual(line.flags, ["-O2", "-D", "A=1"])

    def test_the_target_that_the_crate_cc_names_is_dropped(self):
        done = mock.Mock(returncode=0)
        with mock.patch.object(compiler.subprocess, "run", return_value=done) as run:
            compiler.main(SETTINGS, "cc", ["--target=wasm32-wasip1", "-c", "a.c"])
        command = run.call_args.args[0]
        self.assertEqual([part for part in command if "wasip1" in part], [])
        self.assertIn("wasm32-wasi", command)

    def test_a_module_exports_its_entry_and_its_constructors(self):
        command = compiler.shared(SETTINGS, "out/_fast.cpython-314-wasm32-wasi.so", ["a.o"])
        self.assertIn("--export-if-defined=PyInit__fast", command)
        self.assertIn("--export-if-defined=__wasm_call_ctors", command)
        self.assertIn("--no-export-dynamic", command)
        self.assertNotIn("fe.o", command)
        numpy = compiler.shared(SETTINGS, "_multiarray_umath.so", ["a.o"])
        self.assertIn("fe.o", numpy)

    def test_programs_are_linked_strictly(self):
        command = compiler.program(SETTINGS, "cc", "a.out", ["a.o"])
        self.assertNotIn("--unresolved-symbols=import-dynamic", command)
        self.assertIn("-lwasi-emulated-process-clocks", command)


if __name__ == "__main__":
    unittest.main()
