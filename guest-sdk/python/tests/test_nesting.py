"""Limits of nested text, and the types of C, without a component."""

import sys
import unittest
from unittest import mock

from orwd_guest.boot import c_types, nesting


class Json(unittest.TestCase):
    def test_levels_are_counted_without_strings(self):
        deep = nesting.MAX_JSON + 1
        for text in ("[" * deep, '{"a":' * deep, "[1, [2], " * deep, " [" * deep):
            with self.assertRaises(RecursionError):
                nesting.check_json(text)
        for text in (
            "",
            "[" * (deep - 1),
            "[]," * deep,
            '"' + "[" * deep + '"',
            r'"\"' + "{" * deep + '"',
            '["["],' * deep,
        ):
            nesting.check_json(text)


class Source(unittest.TestCase):
    def test_levels_are_those_of_one_expression(self):
        limit = 100
        for source in (
            "-" * 101 + "1",
            "1+" * 101 + "1",
            "a" + ".b" * 101,
            "f" + "()" * 101,
            "(1, 1+(" * 101,
            b"not " * 101,
        ):
            with self.assertRaises(RecursionError):
                nesting.check_source(source, limit)
        for source in (
            "x = -1\n" * 200,
            "[" + "-1, " * 200 + "]",
            '"' + "+" * 200 + '"',
            "# " + "-" * 200,
            "a.b(c.d)\n" * 200,
        ):
            nesting.check_source(source, limit)

    def test_code_without_names_has_those_of_its_caller(self):
        with mock.patch.multiple("builtins", compile=compile, eval=eval, exec=exec):
            nesting._compiler()
            local = 2
            self.assertEqual(eval("local + 1"), 3)
            self.assertEqual(eval("len(Json.__name__)"), 4)
            self.assertEqual(eval("x", {"x": 5}), 5)
            exec("local = 7")
            self.assertEqual(local, 2)
            names = {}
            exec("y = 3", names)
            self.assertEqual(names["y"], 3)
            with self.assertRaises(RecursionError):
                compile("-" * 20000 + "1", "text", "eval")


class Types(unittest.TestCase):
    def test_types_have_the_sizes_of_a_component(self):
        with mock.patch.dict(sys.modules):
            c_types.install()
            import ctypes

            class Pair(ctypes.Structure):
                _fields_ = [("a", ctypes.c_uint8), ("b", ctypes.c_double)]

            sizes = [ctypes.sizeof(kind) for kind in (ctypes.c_long, ctypes.c_void_p, ctypes.c_char * 5, Pair)]
            self.assertEqual(sizes, [4, 4, 5, 16])
            self.assertEqual((ctypes.c_int * 3)(1, 2)[1], 2)
            self.assertEqual(Pair(b=2.5).b, 2.5)
            self.assertIsNone(ctypes.util.find_library("c"))
            for use in (
                lambda: ctypes.CDLL("x.so"),
                lambda: ctypes.cdll.LoadLibrary("x.so"),
                lambda: ctypes.string_at(0),
            ):
                with self.assertRaisesRegex(OSError, "shared libraries"):
                    use()


if __name__ == "__main__":
    unittest.main()
