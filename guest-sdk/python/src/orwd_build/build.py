"""One build: packages, layout, component."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

from orwd_build import requirements, stage, vendor
from orwd_build.errors import BuildError
from orwd_build.native import Progress, Recipes

HERE = Path(__file__).parent


def build(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Builds a component as the request says. Returns the names of its
    environments, and notes for people."""
    folder = Path(request["folder"])
    work = Path(request["work"])
    wheels = [Path(wheel) for wheel in request["wheels"]]
    data = Path(request["data"]) if request.get("data") else None
    notes: list[str] = []
    packages = work / "packages"
    index = request.get("wheel_index")
    recipes = Recipes(Path(request["recipes"]), Path(request["wheel_cache"]), index, progress)
    _packages(folder, Path(request["base"]), wheels, recipes, packages, progress, notes)
    author = work / "author"
    stage.author(folder, data, author)
    paths = [work / "sdk", author, packages]
    shutil.copytree(HERE / "guest", work / "sdk")
    baked = request.get("bake") or []
    if data is not None and baked:
        stage.bake(data, baked, work / "data")
        paths.append(work / "data")
    stage.archive({"/0": HERE / "guest", "/1": author, "/2": packages}, work / "sdk")
    mode = "absent" if data is None else "baked" if baked else "declared"
    network = Path(request["network"]) if request.get("network") else None
    asked = {
        "entry": request["entry"],
        "class": request.get("class"),
        "data": mode,
        "network": network is not None,
    }
    (work / "sdk" / "request.json").write_text(json.dumps(asked), encoding="utf-8")
    progress(f"building {request['entry']}: the module is imported in the sandbox of a component")
    report = _componentize(work, paths, Path(request["wit"]), network, Path(request["output"]))
    _check(report, request["entry"], mode)
    names = report["names"]
    if names is None:
        notes.append(
            f"{request['entry']} reads {report['deferred']} while it is imported, so each session imports it "
            f"again. To read that data once, when the component is built, add it to `bake` in [build] of orwd.toml"
        )
    elif report["touched"] and mode == "absent":
        notes.append(
            f"{request['entry']} looks for /orwd_data while it is imported, and no data folder is declared: "
            f"what it decides then is part of the component. If it has data, name the folder with `data` in orwd.toml"
        )
    return {"names": names or report["guessed"], "notes": notes}


def _packages(
    folder: Path,
    base: Path,
    wheels: list[Path],
    recipes: Recipes,
    into: Path,
    progress: Progress,
    notes: list[str],
) -> None:
    # Complete or absent, so that a build that was stopped leaves nothing behind.
    if not base.is_dir():
        draft = base.with_name(f"{base.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        vendor.base(draft, HERE / "packages.txt", wheels, progress)
        try:
            draft.rename(base)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
    wanted = requirements.read(folder)
    into.mkdir(parents=True)
    if wanted.lines:
        fixed = [line.rstrip("\\").strip() for line in _pins()]
        # The wheels of recipes have one version; a lock file may name another.
        ours = recipes.names() | {requirements.name_of(pin) for pin in fixed}
        locked = [line for line in wanted.constraints if requirements.name_of(line) not in ours]
        absent = vendor.others(wanted.lines, [*fixed, *locked], wheels, recipes, into, progress)
        if absent:
            notes.append(
                f"absent, since they have native code and no wheel for WASI: {', '.join(absent)}. Other packages "
                f"require them; a use of them in a session raises ImportError"
            )
    # What every environment has comes last: it is not replaced.
    vendor.copy(base, into)
    stage.drop_unused(into)
    server = [
        line for line in wanted.left_out if requirements.normal(line.split("=")[0].split("[")[0]) in requirements.SERVER
    ]
    if server:
        notes.append(f"not in the component, since orwd is the server: {', '.join(server)}")


def _pins() -> list[str]:
    text = (HERE / "packages.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if "==" in line and not line.startswith(("#", " "))]


def _componentize(
    work: Path, paths: list[Path], wit: Path, network: Optional[Path], output: Path
) -> dict[str, Any]:
    folder = work / "wit"
    shutil.copytree(HERE / "wit", folder)
    (folder / "deps" / "orwd").mkdir()
    shutil.copyfile(wit, folder / "deps" / "orwd" / "world.wit")
    world = "python"
    if network is not None:
        world = "python-network"
        shutil.copyfile(HERE / "network.wit", folder / "network.wit")
        (folder / "deps" / "network").mkdir()
        shutil.copyfile(network, folder / "deps" / "network" / "http.wit")
    # Not by its script, which has the path that the environment had before it was
    # complete.
    command = [sys.executable, "-c", "import sys, componentize_py; sys.exit(componentize_py.script())"]
    command += ["--quiet", "-d", str(folder), "-w", world, "componentize"]
    for path in paths:
        command += ["-p", str(path)]
    command += ["-o", str(output), "orwd_app"]
    # Without PATH it finds no other Python, whose packages it would add.
    environment = {"PATH": "/nonexistent", "HOME": os.environ.get("HOME", "/"), "TMPDIR": str(work)}
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    report = _report(work / "sdk" / "report.json")
    if report is None:
        raise BuildError(f"componentize-py failed:\n{(done.stderr or done.stdout)[-4000:]}")
    if done.returncode != 0 and "error" not in report:
        raise BuildError(f"componentize-py failed:\n{done.stderr[-4000:]}")
    return report


def _report(path: Path) -> Optional[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _check(report: dict[str, Any], entry: str, mode: str) -> None:
    if "error" not in report:
        return
    if report["expected"]:
        raise BuildError(report["error"].split(": ", 1)[-1])
    # The frames of the author: the path of the mount becomes that of the folder.
    trace = report["traceback"].replace('"/1/', '"').replace('"/2/', '"')
    lines = trace.rstrip().splitlines()
    own = [i for i, line in enumerate(lines) if 'File "' in line and 'File "/' not in line and 'File "<' not in line]
    shown = "\n".join(lines[own[0] :]) if own else "\n".join(lines[-12:])
    hint = ""
    if report["touched"] and mode == "absent":
        hint = "\nIt looks for /orwd_data while it is imported: name its data folder with `data` in orwd.toml"
    elif "ModuleNotFoundError" in report["error"]:
        hint = "\nAdd the package to requirements.txt, or to the dependencies in pyproject.toml"
    raise BuildError(f"{entry} cannot be imported:\n{shown}{hint}")
