"""Installs the package, its launch and configuration files, and one executable a command."""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup

NAME = "regionmask_ros"


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
    return sorted(path.relative_to(NAME).as_posix() for path in paths if path.suffix not in (".py", ".pyc"))


def executables():
    """The program with all commands, and `ros2 run regionmask_ros NAME` for each: a module with a function `main`."""
    names = sorted(path.stem for path in Path(NAME, "commands").glob("[!_]*.py"))
    return [f"{NAME} = {NAME}.__main__:main", *(f"{name} = {NAME}.programs:{name}" for name in names)]


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
    install_requires=["setuptools"],
    # Not required, because over a ROS from apt the libraries have other names: see package.xml.
    extras_require={
        "standalone": ["av>=16.1,<17", "h5py", "matplotlib", "numba>=0.55", "numpy", "opencv-python-headless", "pillow",
                       "PyYAML", "simplejpeg", "tqdm"],
        "test": ["hypothesis", "pytest"], "rerun": ["rerun-sdk>=0.39"], "train": ["torch>=2.1,<3"],
        "foxglove": ["foxglove-sdk>=0.30"],
        "bags": ["rosbags>=0.11,<0.12"], "video": ["av>=16.1,<17"],
        "runtimes": ["onnx>=1.16", "onnxruntime>=1.18", "openvino>=2024.4"],
    },
    entry_points={"console_scripts": executables()},
    zip_safe=False,
)
