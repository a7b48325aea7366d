"""The parts of the wheel builder that need no compiler."""

import hashlib
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

WHEELS = Path(__file__).parents[2] / "wheels"
sys.path.insert(0, str(WHEELS))

if sys.version_info < (3, 11):
    raise unittest.SkipTest("building wheels needs Python 3.11")

import build  # noqa: E402
from wasi_wheels import pack  # noqa: E402
from wasi_wheels.programs import compiler  # noqa: E402
from wasi_wheels.recipe import RecipeError, load, names  # noqa: E402

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
