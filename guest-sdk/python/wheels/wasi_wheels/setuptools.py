"""Builds a package with a setuptools build, C or Cython, for WASI."""

from __future__ import annotations

import zipfile

from . import zig
from .recipe import RecipeError
from .tools import Job


def build(job: Job) -> None:
    """Lets setuptools build a wheel, and takes its content."""
    options, source, name = job.recipe.options, job.source, job.recipe.name
    wrappers = zig.wrappers(job, source / ".cc")
    env = {
        **wrappers.python_env(),
        "CC": str(wrappers.cc),
        "CXX": str(wrappers.cxx),
        "LDSHARED": f"{wrappers.cc} -shared",
        "LDCXXSHARED": f"{wrappers.cxx} -shared",
        "AR": str(wrappers.ar),
        "CFLAGS": options.get("cflags", "-O2 -DNDEBUG"),
        **options.get("env", {}),
    }
    job.note("compiling")
    made = source / ".wheel"
    command = [job.tools.python("build"), "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", made, source]
    job.run(command, env)
    wheels = list(made.glob("*.whl"))
    if len(wheels) != 1:
        raise RecipeError(f"{name}: the build made {len(wheels)} wheels, expected one")
    with zipfile.ZipFile(wheels[0]) as archive:
        for member in archive.namelist():
            if ".dist-info/" not in member:
                archive.extract(member, job.site)
    if not list(job.site.rglob("*.so")):
        raise RecipeError(f"{name}: the build made no extension module; see {job.log}")
