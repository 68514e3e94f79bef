"""Installs the package, its compiled kernels, its launch and configuration files, and one executable a command."""

import itertools
import os
import platform
import re
import runpy
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools below 70
    try:
        from wheel.bdist_wheel import bdist_wheel
    except ImportError:
        bdist_wheel = None

NAME = "regionmask_ros"
NATIVE = runpy.run_path(str(Path(NAME, "tiles", "native_sources.py")))
LIBRARY = f"{NAME}.tiles.native.{NATIVE['LIBRARY'].stem}"


def read_version():
    """The version, which is written in the package only; importing it would need what setuptools has yet to install."""
    (version,) = re.findall(r'^__version__ = "(.+)"$', Path(NAME, "__init__.py").read_text(), re.MULTILINE)
    return version


def installed_files():
    """Everything in launch/ and config/, with folders below them, as setuptools wants it."""
    places = [("share/ament_index/resource_index/packages", [f"resource/{NAME}"]), (f"share/{NAME}", ["package.xml"])]
    for top in ("launch", "config"):
        for folder, subfolders, files in os.walk(top):
            subfolders[:] = sorted(name for name in subfolders if name != "__pycache__")
            if files:
                places.append((f"share/{NAME}/{folder}", [f"{folder}/{name}" for name in sorted(files)]))
    return places


def find_data_files():
    """Every file below the package that is not Python, relative to it."""
    paths = (path for path in Path(NAME).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path.relative_to(NAME).as_posix() for path in paths if path.suffix not in (".py", ".pyc", ".so"))


def executables():
    """The program with all commands, and `ros2 run regionmask_ros NAME` for each: a module with a function `main`."""
    names = sorted(path.stem for path in Path(NAME, "commands").glob("[!_]*.py"))
    return [f"{NAME} = {NAME}.__main__:main", *(f"{name} = {NAME}.programs:{name}" for name in names)]


def find_compiler():
    """The C++ compiler's command; empty where there is none, and then the package is installed without the library."""
    chosen = shlex.split(os.environ.get("CXX", ""))
    return chosen or next(([name] for name in ("g++", "c++") if shutil.which(name)), [])


def find_native_sources():
    """The C++ files for this machine, relative to this one."""
    machines = NATIVE["MACHINES"]
    found = [path.relative_to(Path(__file__).resolve().parent) for path in NATIVE["list_sources"]()]
    return [path for path in found if machines.get(path.parent.name) in (None, platform.machine())]


def native_library():
    """The library of kernels; it uses nothing of Python, so that one file serves every version of it."""
    sources = find_native_sources()
    return Extension(LIBRARY, [path.as_posix() for path in sources if path.suffix == ".cpp"],
                     depends=[*(path.as_posix() for path in sources), f"{NAME}/tiles/native_sources.py"], optional=True)


class BuildLibrary(build_ext):
    """Compiles each folder of kernels for its own instructions, several files at a time."""

    def get_ext_filename(self, fullname):
        """The library is no Python module: its name is the same for every version of Python."""
        return os.path.join(*fullname.split(".")) + ".so"

    def build_extension(self, ext):
        """Compiles and links; what is newer than its sources stays."""
        target = Path(self.get_ext_fullpath(ext.name))
        newest = max(Path(path).stat().st_mtime for path in ext.depends)
        if not self.force and target.exists() and target.stat().st_mtime > newest:
            return
        compiler, objects = find_compiler(), Path(self.build_temp)
        objects.mkdir(parents=True, exist_ok=True)

        compiled = itertools.count(1)

        def compile_file(source):
            made = objects / (source.replace("/", "_") + ".o")
            instructions = NATIVE["INSTRUCTIONS"].get(Path(source).parent.name, ())
            digest = f'-DREGIONMASK_TILES_DIGEST="{NATIVE["compute_digest"]()}"'
            self.spawn([*compiler, *NATIVE["FLAGS"], *instructions, "-fPIC", digest, "-c", source, "-o", str(made)])
            # The set-up shows how far it is.
            if self.verbose:
                print(f"[{next(compiled)}/{len(ext.sources)}] {source}", flush=True)
            return str(made)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = list(pool.map(compile_file, ext.sources))
        target.parent.mkdir(parents=True, exist_ok=True)
        # A library that a process has loaded must not be written over.
        target.unlink(missing_ok=True)
        self.spawn([*compiler, "-shared", *made, "-o", str(target)])


commands = {"build_ext": BuildLibrary}
if bdist_wheel:

    class Wheel(bdist_wheel):
        """A wheel for this kind of machine and every Python if the library is in it, else one for every machine."""

        def get_tag(self):
            """The name's last three parts."""
            has_library = any(Path(self.bdist_dir).rglob(NATIVE["LIBRARY"].name))
            self.root_is_pure = not has_library
            return ("py3", "none", super().get_tag()[2] if has_library else "any")

    commands["bdist_wheel"] = Wheel


setup(
    name=NAME,
    version=read_version(),
    description="Object detection on camera topics that computes only where region masks and change ask for it",
    author="regionmask_ros maintainers",
    maintainer="regionmask_ros maintainers",
    maintainer_email="maintainers@regionmask-ros.org",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: find_data_files()},
    data_files=installed_files(),
    ext_modules=[native_library()] if find_compiler() else [],
    cmdclass=commands,
    install_requires=["setuptools"],
    # Not required, because over a ROS from apt the libraries have other names: see package.xml.
    extras_require={
        "standalone": ["av>=16.1,<17", "h5py", "matplotlib", "numba>=0.55", "numpy", "opencv-python-headless", "pillow",
                       "PyYAML", "simplejpeg", "tqdm"],
        "test": ["hypothesis", "pytest"], "rerun": ["rerun-sdk>=0.39"], "train": ["torch>=2.1,<3"],
        "fleet": ["fsspec", "ray>=2.60,<3"], "foxglove": ["foxglove-sdk>=0.30"],
        "bags": ["rosbags>=0.11,<0.12"], "video": ["av>=16.1,<17"],
        "runtimes": ["onnx>=1.16", "onnxruntime>=1.18", "openvino>=2024.4"],
    },
    entry_points={"console_scripts": executables()},
    zip_safe=False,
)
