"""tf2_msgs/TFMessage, which PyPI lacks, made by ROS's own generators and a compiler.

One message of one package becomes one extension module, with the type support of Fast DDS in it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np

from test.ros_releases import BEFORE_KILTED

_IDL = """\
#include "geometry_msgs/msg/TransformStamped.idl"
module tf2_msgs {
  module msg {
    struct TFMessage {
      sequence<geometry_msgs::msg::TransformStamped> transforms;
    };
  };
};
"""
_FAST_DDS = "rosidl_typesupport_fastrtps_c"
_LIBRARIES = (
    "rosidl_runtime_c",
    "rosidl_typesupport_c",
    _FAST_DDS,
    "rosidl_typesupport_fastrtps_cpp",
    "fastcdr",
    "rcutils",
    "rmw",
    "geometry_msgs__rosidl_generator_c",
    "geometry_msgs__rosidl_generator_py",
    f"geometry_msgs__{_FAST_DDS}",
)


def is_installed() -> bool:
    """Whether a ROS distribution provides tf2_msgs."""
    return importlib.util.find_spec("tf2_msgs") is not None


def can_build() -> bool:
    """Whether there are compilers, and the headers that Kilted's packages of PyPI bring."""
    if BEFORE_KILTED:
        return False
    compilers = shutil.which("gcc") and shutil.which("g++")
    headers = Path(sys.prefix, "include", "geometry_msgs").is_dir()
    return bool(compilers) and headers and Path(sysconfig.get_path("include"), "Python.h").exists()


def build(folder: Path) -> None:
    """Make the package `tf2_msgs` in a folder, for `sys.path` or PYTHONPATH."""
    package = folder / "tf2_msgs"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    _generate(folder, package)
    sources = sorted(path for path in package.rglob("*.c*") if path.suffix in {".c", ".cpp"})
    objects = [_compile(folder, source) for source in sources]
    libraries = [f"-l{name}" for name in _LIBRARIES]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    module = package / f"tf2_msgs_s__rosidl_typesupport_c{suffix}"
    _run("g++", "-shared", "-o", module, *objects, f"-L{sys.prefix}/lib", *libraries)


def _generate(folder: Path, package: Path) -> None:
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    from rosidl_generator_c.cli import GenerateC
    from rosidl_generator_py.cli import GeneratePython
    from rosidl_generator_type_description.cli import HashTypeDescription
    from rosidl_typesupport_c.cli import GenerateCTypesupport
    from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport

    (folder / "msg").mkdir()
    (folder / "msg" / "TFMessage.idl").write_text(_IDL)
    given = ("tf2_msgs", [f"{folder}:msg/TFMessage.idl"], [f"{sys.prefix}/share"])
    hashes = HashTypeDescription("").generate_type_hashes(*given, output_path=package)
    generators: list[Any] = [
        GenerateFastRTPSCTypesupport(""),
        GenerateCTypesupport("", typesupport_implementations=[_FAST_DDS]),
        GeneratePython("", typesupport_implementations=["rosidl_typesupport_c"]),
    ]
    GenerateC("").generate(*given, output_path=package, type_description_files=hashes)
    for generator in generators:
        generator.generate(*given, output_path=package)


def _compile(folder: Path, source: Path) -> Path:
    target = source.with_name(f"{source.name}.o")
    headers = Path(sys.prefix, "include")
    installed = [headers, *(path for path in headers.iterdir() if path.is_dir())]
    includes = [folder, sysconfig.get_path("include"), np.get_include(), *installed]
    flags = [f"-I{path}" for path in includes]
    _run("gcc" if source.suffix == ".c" else "g++", "-fPIC", "-c", *flags, "-o", target, source)
    return target


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)
