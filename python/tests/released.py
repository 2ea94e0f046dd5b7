# SPDX-License-Identifier: Apache-2.0
"""Python sources of released engines and marks that are not installed: their dependencies are large,
or need a GPU.

    released.py [NAME...]      # fetches them (all), and prints where they are

For tests and studies, which import single modules of them: released.path("vllm"). The wheel comes
from PyPI through pip, alone and without its dependencies, and must have the digest below; what is
kept, under build/engines/released/, is its .py files, METADATA and licence. Nothing of it is
compiled, installed or run here.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.machinery
import os
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build" / "engines" / "released"

# Name as in the wheel's file: version, tags and SHA-256 of the wheel. Whatever machine this is, Linux
# on x86-64 is asked for: its Python files are those of all.
WHEELS = {
    "sglang": ("0.5.23", "cp311-cp311-manylinux_2_34_x86_64",
               "00b3cd5b265ac76c64185fbb6b95424f324ddd9f428d0306b77bc9db9d859937"),
    # DeepMind's, Apache-2.0: the hash of before June 2025, which transformers has too.
    "synthid_text": ("0.2.1", "py3-none-any",
                     "b8de44b01fe95e23178314a8af56fb6d97c0ea84efb1dd7c71fd0bd192e45e1e"),
    # Meta's, MIT.
    "textseal": ("0.0.5", "py3-none-any",
                 "6a09d87771158920b912edf0aa06fa026914dd60f59a7b47383b78c71d731111"),
    "vllm": ("0.33.0", "cp38-abi3-manylinux_2_28_x86_64",
             "4b6bdec4ab269990bf70d45a3c1e94c3760a27064513760193b26d6f0da883aa"),
}


def _download(name: str, folder: Path) -> Path:
    """The wheel, in folder. What pip says of a failure goes into the message."""
    version, tags, digest = WHEELS[name]
    _, abi, platform = tags.split("-")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{name}=={version} --hash=sha256:{digest}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet",
         "--no-deps", "--only-binary=:all:", "--platform", platform, "--python-version", "3.11",
         "--implementation", "cp", "--abi", abi, "--require-hashes", "-r", wanted, "-d", folder],
        capture_output=True, text=True, check=False)
    wheel = folder / f"{name}-{version}-{tags}.whl"
    if done.returncode != 0 or not wheel.is_file():
        said = done.stderr.strip().splitlines() or [f"pip brought {os.listdir(folder)}"]
        raise unittest.SkipTest(f"{wheel.name} could not be fetched: {said[-1]}")
    return wheel


def path(name: str) -> Path:
    """The folder that holds package `name`, fetched (vllm: 336 MB) if it is not there.

    Raises unittest.SkipTest, which says why, when it cannot be fetched.
    """
    folder = FOLDER / f"{name}-{WHEELS[name][0]}"
    if folder.is_dir():
        return folder
    FOLDER.mkdir(parents=True, exist_ok=True)
    # On the same disk, so that the last step is one rename: what is there is whole.
    with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
        parts = Path(temporary) / "parts"
        with zipfile.ZipFile(_download(name, Path(temporary))) as wheel:
            for member in wheel.namelist():
                if (member.endswith(".py") or member.endswith(".dist-info/METADATA")
                        or ".dist-info/licenses/" in member):
                    wheel.extract(member, parts)
        with contextlib.suppress(OSError):  # another process was faster
            parts.rename(folder)
    return folder


@contextlib.contextmanager
def imports(name: str, *packages: str) -> Iterator[None]:
    """Lets modules of `name` be imported, without the __init__.py of the packages that are named.

    Those files pull in whatever a server needs. The packages are made empty, and found where they
    lie: imports("sglang", "sglang", "sglang.srt"). Afterwards no module of `name` is left behind.
    """
    at = path(name)
    for package in packages:
        module = types.ModuleType(package)
        module.__path__ = [str(at / package.replace(".", "/"))]
        module.__spec__ = importlib.machinery.ModuleSpec(package, None, is_package=True)
        sys.modules[package] = module
    sys.path.insert(0, str(at))
    try:
        yield
    finally:
        sys.path.remove(str(at))
        for module_name in [each for each in sys.modules if each.split(".")[0] == name]:
            del sys.modules[module_name]


def definitions(name: str, file: str, *wanted: str, **given: Any) -> types.SimpleNamespace:
    """The classes and functions of these names alone, out of a file that cannot be imported whole.

    given: what they refer to.
    """
    source = (path(name) / file).read_text(encoding="utf-8")
    found = {node.name: node for node in ast.parse(source).body
             if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    future = ast.parse("from __future__ import annotations").body
    module = ast.Module([*future, *(found[each] for each in wanted)], type_ignores=[])
    names: dict[str, Any] = dict(given)
    exec(compile(module, file, "exec"), names)
    return types.SimpleNamespace(**{each: names[each] for each in wanted})


def main() -> int:
    for name in sys.argv[1:] or WHEELS:
        try:
            print(path(name))
        except unittest.SkipTest as why:
            print(why, file=sys.stderr)
            return 6
    return 0


if __name__ == "__main__":
    sys.exit(main())
