"""What NVIDIA's real Python bindings offer, read without a GPU: ``python -m tests.engine.bindings FOLDER`` (or
``make bindings``) downloads their wheels into FOLDER and writes tensorrt_api.json.

The bindings of TensorRT link against libraries that are not in their wheels. Stubs of these, empty functions under
the names that are looked up at import, are enough to read classes, enumerations and signatures; nothing can be run.
PyCUDA has no wheels: it is read where it is installed (docs/jetson.md tells how to build it).
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

API = Path(__file__).with_name("tensorrt_api.json")
WHEELS = {
    "8.6": "tensorrt-bindings==8.6.1",
    "10.3": "tensorrt-cu12-bindings==10.3.0",
    "10.7": "tensorrt-cu12-bindings==10.7.0",
    "10.13": "tensorrt-cu12-bindings==10.13.3.9",
    "10.16": "tensorrt-cu12-bindings==10.16.1.11",
    "11.4": "tensorrt-cu12-bindings==11.4.0.106",
}
CUDA = {"12.9": "cuda-bindings==12.9.10", "13.0": "cuda-bindings==13.0.3"}
CLASSES = [
    "Builder",
    "BuilderFlag",
    "DataType",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "ILogger.Severity",
    "ITimingCache",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "TensorIOMode",
]
CUDA_CLASSES = ["CUctx_flags", "CUresult", "CUstreamCaptureMode", "CUstream"]
CUDA_FUNCTIONS = [
    "cuDevicePrimaryCtxSetFlags",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiate",
    "cuGraphLaunch",
    "cuStreamBeginCapture",
    "cuStreamEndCapture",
]
PYCUDA_CLASSES = [
    "Context",
    "Device",
    "DeviceAllocation",
    "Event",
    "PagelockedHostAllocation",
    "Stream",
    "device_attribute",
    "event_flags",
    "host_alloc_flags",
]
PYCUDA_FUNCTIONS = [
    "Error",
    "get_driver_version",
    "init",
    "mem_alloc",
    "memcpy_dtoh_async",
    "memcpy_htod_async",
    "pagelocked_empty",
]
SYMBOLS = [
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
    "_ZN11nvuffparser15createUffParserEv",
    "_ZN11nvuffparser8FieldMapC1EPKcPKvNS_9FieldTypeEi",
    "_ZN14nvcaffeparser117createCaffeParserEv",
    "_ZN14nvcaffeparser123shutdownProtobufLibraryEv",
]

Members = dict[str, object]  # "BuilderFlag.FP16": its number; a method: its parameters; anything else: true


def read_here(module: str, classes: list[str], functions: list[str]) -> Members:
    """Public members of ``classes`` of a module that can be imported in this process, and those of ``functions``."""
    found: Members = {}
    root = __import__(module, fromlist=["_"])
    for path in classes:
        owner: object = root
        for name in path.split("."):
            owner = getattr(owner, name, None)
        for name in dir(owner) if owner is not None else ():
            if name == "__init__" or not (name.startswith("_") or hasattr(int, name)):
                found[f"{path}.{name}"] = _described(getattr(owner, name))
    return found | {name: _described(getattr(root, name)) for name in functions if hasattr(root, name)}


def _described(member: object) -> object:
    if isinstance(member, int) and not isinstance(member, bool):
        return int(member)
    number = getattr(member, "value", None)
    if type(number) is int:
        return number
    text = member.__doc__ or ""
    pybind = re.search(r"^(?:1\. )?\w+\(self: [\w.]+(.*?)\) -> ", text, re.DOTALL | re.MULTILINE)
    boost = re.match(r"\s*\w+\(([^\n]*)\) ->", text)
    if pybind or boost:
        names = re.findall(r", (\w+):", pybind[1]) if pybind else re.findall(r"\(\w+\)(\w+)", boost[1] if boost else "")
        return ", ".join(name for name in names if not re.fullmatch(r"self|arg\d", name))
    try:
        parameters = inspect.signature(member).parameters if inspect.isroutine(member) else {"args": None}
    except ValueError:
        return True
    return True if "args" in parameters else ", ".join(parameters)


def read_wheel(requirement: str, module: str, classes: list[str], functions: list[str], folder: Path) -> Members:
    """The members that a wheel offers. Raises RuntimeError where it cannot be had or read."""
    unpacked = folder / requirement.replace("==", "-")
    if not unpacked.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
        part = folder / f"{unpacked.name}.part"
        _run([*pip, *([] if functions else ["--no-deps"]), "--target", str(part), requirement])
        part.rename(unpacked)
    for library in unpacked.glob("tensorrt_bindings/tensorrt*.so"):
        _stubs(library, unpacked)
    paths = os.pathsep.join([str(unpacked), str(Path(__file__).parents[2])])
    environment = os.environ | {"LD_LIBRARY_PATH": str(unpacked), "PYTHONPATH": paths}
    asked = (module, classes, functions)
    code = f"import json; from tests.engine.bindings import read_here; print(json.dumps(read_here(*{asked})))"
    return dict(json.loads(_run([sys.executable, "-W", "ignore", "-c", code], environment)))


def _stubs(library: Path, folder: Path) -> None:
    """An empty shared library for each of NVIDIA's that ``library`` asks for."""
    source = folder / "stubs.c"
    source.write_text("".join(f"int {symbol}(void) {{ return 0; }}\n" for symbol in SYMBOLS))
    for name in re.findall(r"NEEDED.*\[(libnv[^\]]+)\]", _run(["readelf", "-d", str(library)])):
        if not (folder / name).exists():
            _run(["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(folder / name), str(source)])


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{' '.join(command[:4])} …: {error.stderr.strip()[-500:]}") from error
    return done.stdout


def read_tensorrt(version: str, folder: Path) -> Members:
    return read_wheel(WHEELS[version], "tensorrt_bindings", CLASSES, [], folder)


def read_cuda(version: str, folder: Path) -> Members:
    return read_wheel(CUDA[version], "cuda.bindings.driver", CUDA_CLASSES, CUDA_FUNCTIONS, folder)


def read_pycuda() -> Members:
    return read_here("pycuda.driver", PYCUDA_CLASSES, PYCUDA_FUNCTIONS)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kept = json.loads(API.read_text(encoding="utf-8")) if API.exists() else {}
    document = {
        "tensorrt": _table({version: read_tensorrt(version, folder) for version in WHEELS}),
        "cuda-bindings": _table({version: read_cuda(version, folder) for version in CUDA}),
        "pycuda": kept.get("pycuda"),
    }
    try:
        document["pycuda"] = _table({"2026.1": read_pycuda()})
    except ImportError as error:
        print(f"pycuda is left as it was ({error})", file=sys.stderr)
    lines = []
    for name, table in document.items():
        rows = ",\n".join(f"    {json.dumps(row)}: {json.dumps(values)}" for row, values in table["members"].items())
        lines.append(f'"{name}": {{\n  "versions": {json.dumps(table["versions"])},\n  "members": {{\n{rows}\n  }}\n}}')
    API.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _table(found: dict[str, Members]) -> dict[str, object]:
    """One row a member, with one entry a version; null where it does not exist."""
    names = sorted(set().union(*found.values()))
    return {"versions": list(found), "members": {name: [of.get(name) for of in found.values()] for name in names}}


def members(package: str, version: str) -> Members:
    """Of the committed file."""
    table = json.loads(API.read_text(encoding="utf-8"))[package]
    at = table["versions"].index(version)
    return {name: values[at] for name, values in table["members"].items() if values[at] is not None}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
