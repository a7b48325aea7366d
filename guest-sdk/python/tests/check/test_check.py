"""`orwd check` on ten environments in public style, six of which cannot run."""

import contextlib
import io
import json
import re
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "src"))

from orwd_build import check  # noqa: E402
from orwd_build.checks import built, rules  # noqa: E402

ENVIRONMENTS = HERE / "environments"

#: What can run, with the classes that are found and the codes of warnings.
RUN = {
    "lunar_lander.py": (["LunarLander"], []),
    "sums.py": (["Sums"], []),
    "trivia": (["Trivia"], []),
    "market.py": (["Market"], []),
}

#: What cannot run: file, line and code of each reason.
REFUSED = {
    "code_runner.py": [("code_runner.py", 34, "process"), ("code_runner.py", 39, "process")],
    "llm_judge.py": [("llm_judge.py", 5, "network"), ("llm_judge.py", 5, "not-required"), ("llm_judge.py", 17, "environment-variable")],
    "shell_sandbox.py": [("shell_sandbox.py", 16, "sandbox")],
    "molecules": [
        ("requirements.txt", 2, "native-package"),
        ("requirements.txt", 3, "native-package"),
        ("requirements.txt", 4, "requirement-source"),
        ("scoring.py", 3, "native-package"),
        ("scoring.py", 4, "native-package"),
        ("scoring.py", 9, "native-package"),
    ],
    "tables": [
        ("requirements.txt", 2, "native-package"),
        ("requirements.txt", 3, "native-package"),
        ("server.py", 5, "native-package"),
        ("server.py", 6, "native-package"),
        # A warning: the import may fail.
        ("server.py", 12, "native-package"),
    ],
    "web_reader.py": [
        ("web_reader.py", 4, "absent-module"),
        ("web_reader.py", 8, "native-package"),
        ("web_reader.py", 11, "file-outside"),
        ("web_reader.py", 12, "network"),
        ("web_reader.py", 17, "file-missing"),
        ("web_reader.py", 18, "thread"),
        ("web_reader.py", 30, "terminal"),
        ("web_reader.py", 34, "network"),
    ],
}


def run(path, *options):
    """The exit code and the report of a check."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = check.main([str(path), "--json", *options])
    text = printed.getvalue()
    return code, json.loads(text) if code < 2 else text


def source(text, **files):
    """The codes of the findings in an environment of this text."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"env.py": text, **files}.items():
            Path(folder, name).write_text(textwrap.dedent(content))
        _, report = run(folder)
    return [(finding["line"], finding["code"], finding["level"]) for finding in report["findings"]]


CLASS = "class E(Environment): pass\n"
HEAD = f"from ors import Environment\n{CLASS}"


class Environments(unittest.TestCase):
    """The ten environments."""

    def test_every_environment_is_expected(self):
        found = {path.name for path in ENVIRONMENTS.iterdir() if path.name != "__pycache__"}
        self.assertEqual(found, RUN.keys() | REFUSED.keys())

    def test_what_can_run_passes(self):
        for name, (classes, warnings) in RUN.items():
            with self.subTest(name):
                code, report = run(ENVIRONMENTS / name)
                self.assertEqual(code, 0, report)
                self.assertTrue(report["runs"])
                self.assertEqual(report["environments"], classes)
                self.assertEqual([finding["code"] for finding in report["findings"]], warnings)

    def test_what_cannot_run_is_refused_for_the_right_reason(self):
        for name, expected in REFUSED.items():
            with self.subTest(name):
                code, report = run(ENVIRONMENTS / name)
                self.assertEqual(code, 1)
                self.assertFalse(report["runs"])
                found = [
                    (Path(finding["file"]).name, finding["line"], finding["code"])
                    for finding in report["findings"]
                ]
                self.assertEqual(found, expected)
                for finding in report["findings"]:
                    self.assertTrue(finding["reason"] and finding["remedy"], finding)

    def test_nothing_of_the_author_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            witness = Path(folder, "witness")
            text = f"open({str(witness)!r}, 'w').write('ran')\n{HEAD}"
            Path(folder, "env.py").write_text(text)
            run(folder)
            self.assertFalse(witness.exists())

    def test_the_text_names_place_reason_and_remedy(self):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            check.main([str(ENVIRONMENTS / "shell_sandbox.py")])
        first, remedy, verdict = printed.getvalue().splitlines()
        self.assertIn("shell_sandbox.py:16:24: error: openreward.AsyncOpenReward(…): ", first)
        self.assertTrue(remedy.startswith("    remedy: "))
        self.assertIn("cannot run, 1 problem (Shell; 1 module read)", verdict)


class Native(unittest.TestCase):
    """Packages with native code that work."""

    def test_the_versions_are_those_of_the_recipes(self):
        recipes = HERE.parent.parent / "wheels/recipes"
        found = {}
        for path in recipes.glob("*.toml"):
            values = dict(re.findall(r'^(name|version) = "(.*)"$', path.read_text(), re.MULTILINE))
            # What is ours and not of the index has a label.
            found[values["name"]] = values["version"].split("+")[0]
        self.assertEqual({each.project: each.version for each in built.BUILT.values()}, found)
        self.assertLessEqual(built.BUILT.keys(), rules.PROVIDED)

    def test_they_are_listed_with_what_differs(self):
        _, report = run(ENVIRONMENTS / "tables")
        self.assertEqual([each["package"] for each in report["native"]], ["PyYAML"])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "env.py").write_text(f"import numpy as np\n{HEAD}")
            Path(folder, "requirements.txt").write_text("numpy>=2\n")
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                self.assertEqual(check.main([folder]), 0)
        first, *others, verdict = printed.getvalue().splitlines()
        self.assertEqual(first, "numpy 2.4.6: native code that works, of a wheel for WASI")
        self.assertTrue(others[0].startswith("    differs: the default integer has 32 bits"))
        self.assertTrue(others[1].startswith("    differs: no warnings of divisions by zero"))
        self.assertIn("nothing found that would not work", verdict)

    def test_another_version_is_refused(self):
        for pin, fits in (("==1.26.4", False), ("==2.4.6", True), ("==2.*", True), ("==1.*", False), (">=1.20", True)):
            with self.subTest(pin):
                found = source(HEAD, **{"requirements.txt": f"numpy{pin}\n"})
                self.assertEqual(found, [] if fits else [(1, "native-version", "error")])


class Rules(unittest.TestCase):
    """Single rules, and what they must not refuse."""

    def test_aliases_lead_to_the_function(self):
        text = f"import os as o\nfrom subprocess import run as r\n{HEAD}o.system('x')\nr(['x'])\n"
        self.assertEqual(source(text), [(5, "process", "error"), (6, "process", "error")])

    def test_a_name_of_a_function_hides_a_module(self):
        text = f"import socket\n{HEAD}def f(socket, input):\n    socket.send(input())\n"
        self.assertEqual(source(text), [])

    def test_an_import_that_may_fail_is_a_warning(self):
        text = f"try:\n    import torch\nexcept ImportError:\n    torch = None\n{HEAD}"
        self.assertEqual(source(text), [(2, "native-package", "warning")])

    def test_the_main_part_and_type_checking_are_not_read(self):
        text = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n{HEAD}"
        text += "if __name__ == '__main__':\n    import docker\n"
        self.assertEqual(source(text), [])

    def test_modules_of_the_author_are_read_through_imports(self):
        files = {"deep.py": "import deeper\n", "deeper.py": "import lzma\n", "unused.py": "import bz2\n"}
        self.assertEqual(source(f"import deep\n{HEAD}", **files), [(1, "absent-module", "error")])

    def test_a_package_that_nothing_brings_is_refused(self):
        text = f"import networkx\n{HEAD}"
        self.assertEqual(source(text), [(1, "not-required", "error")])
        self.assertEqual(source(text, **{"requirements.txt": "networkx\n"}), [])

    def test_removed_modules_are_refused(self):
        self.assertEqual(source(f"import imp\n{HEAD}"), [(1, "removed-module", "error")])

    def test_data_is_looked_up_in_the_declared_folder(self):
        text = f"{HEAD}open('/orwd_data/a.json')\nopen('/orwd_data/b.json')\n"
        self.assertEqual([level for _, _, level in source(text)], ["warning", "warning"])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "env.py").write_text(text)
            Path(folder, "d").mkdir()
            Path(folder, "d", "a.json").write_text("{}")
            code, report = run(folder, "--data", str(Path(folder, "d")))
        self.assertEqual(code, 1)
        found = [(finding["line"], finding["code"]) for finding in report["findings"]]
        self.assertEqual(found, [(4, "file-missing")])

    def test_a_path_with_a_good_alternative_is_fine(self):
        text = f"""
            import os
            from pathlib import Path
            from ors import Environment
            {CLASS}
            FILE = Path("/orwd_data/x") if os.path.exists("/orwd_data") else Path(__file__).parent / "x"
            FILE.read_text()
            (Path(__file__).parent / "y").read_text()
            (Path(__file__).parent / "z").write_text("")
        """
        found = source(text, x="", y="")
        self.assertEqual([code for _, code, _ in found], ["file-write"])

    def test_a_client_needs_a_manifest_that_names_its_servers(self):
        text = f"import openai\nimport httpx, ssl\n{HEAD}URL = 'https://a.com/x'\nSEARCH = f'https://b.com/{{URL}}'\n"
        files = {"requirements.txt": "openai\n"}
        self.assertEqual(
            source(text, **files),
            [(1, "network", "error"), (2, "absent-module", "error"), (2, "network", "error")],
        )
        files["orwd.toml"] = '[network]\nallow = ["POST https://*.openai.com/v1", "https://a.com"]\n'
        self.assertEqual(source(text, **files), [(6, "network-host", "warning")])
        files["orwd.toml"] = '[network]\nallow = ["http://a.com", "https://b.com:8443"]\n'
        self.assertEqual(
            source(text, **files),
            [(line, "network-host", "warning") for line in (1, 5, 6)],
        )
        # The client sets another server, and a text that contains a URL names none.
        other = f"import openai\n{HEAD}openai.OpenAI(base_url=URL)\nTEXT = 'see https://c.com'\n"
        self.assertEqual(source(other, **files), [])
        # What makes no request may name what it likes.
        self.assertEqual(source(f"{HEAD}URL = 'https://a.com'\n"), [])

    def test_the_remedy_lists_the_servers(self):
        with tempfile.TemporaryDirectory() as folder:
            text = f"import openai\n{HEAD}URL = 'http://127.0.0.1:9009/x'\n"
            Path(folder, "env.py").write_text(text)
            Path(folder, "requirements.txt").write_text("openai\n")
            _, report = run(folder)
        (finding,) = report["findings"]
        self.assertIn('allow = ["http://127.0.0.1:9009", "https://api.openai.com"]', finding["remedy"])
        self.assertEqual(finding["what"], "import openai")

    def test_there_must_be_an_environment(self):
        self.assertEqual(source("x = 1\n"), [(1, "no-environment", "error")])
        derived = "from base import Base\nclass E(Base): pass\n"
        self.assertEqual(source(derived, **{"base.py": HEAD.replace("class E", "class Base")}), [])

    def test_syntax_errors_have_a_line(self):
        self.assertEqual(source(f"{HEAD}def f(:\n"), [(3, "syntax", "error")])

    def test_a_class_can_be_named(self):
        code, report = run(f"{ENVIRONMENTS / 'sums.py'}:Sums")
        self.assertEqual((code, report["environments"]), (0, ["Sums"]))
        code, report = run(f"{ENVIRONMENTS / 'sums.py'}:Other")
        self.assertEqual((code, report["findings"][0]["code"]), (1, "no-environment"))

    def test_nothing_to_check_is_code_2(self):
        code, text = run(ENVIRONMENTS / "missing.py")
        self.assertEqual(code, 2)
        self.assertIn("no such file", text)
        with tempfile.TemporaryDirectory() as folder:
            code, text = run(folder)
        self.assertEqual(code, 2)
        self.assertIn("expected env.py", text)


if __name__ == "__main__":
    unittest.main()
