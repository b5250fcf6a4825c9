"""The calibration cache of TensorRT up to 10.16: text that a builder reads in place of calibrating itself.

A header with the version, then a line for each tensor: its ONNX name, ``: `` and the float32 scale (largest value /
127) as eight hexadecimal digits, most significant byte first. Only a builder with implicit INT8 reads it, which also
wants a model without Q/DQ (DLA up to 10.7); TensorRT 11 has neither. Layout and the header of 8.5.2: NVIDIA,
Deep-Learning-Accelerator-SW, qdq-translator. No header was tried on a device; those of 10.x are inferred from how
``getInferLibVersion`` counts.
"""

from __future__ import annotations

import re
import struct

import numpy as np

from edge3vt.calibrate.qdq import symmetric_scale
from edge3vt.calibrate.table import CalibrationTable, TensorRange
from edge3vt.core.errors import ArtifactError, ConfigError

ALGORITHM = "EntropyCalibration2"
_HEADER = re.compile(r"TRT-(\d{4,6})-(\w+)")
_LINE = re.compile(r"(.+): ([0-9a-f]{1,8})")


def header(version: str) -> str:
    """The first line for a TensorRT version, as in "8.6.2" or "10.3": 8.x counts in thousands, 10.x in ten thousands.

    Raises ConfigError for what is no version, or one that reads no cache.
    """
    found = re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?(?:\.\d+)?", version)
    if not found:
        raise ConfigError(f"'{version}' is no TensorRT version; expected one like 8.6.2 or 10.3")
    major, minor, patch = (int(part or 0) for part in found.groups())
    if not 8 <= major <= 10:
        raise ConfigError(
            f"TensorRT {version} reads no calibration cache, 8.0 to 10.16 do; take a flavour with Q/DQ instead"
        )
    number = major * 10_000 + minor * 100 + patch if major >= 10 else major * 1_000 + minor * 100 + patch
    return f"TRT-{number}-{ALGORITHM}"


def to_cache(table: CalibrationTable, version: str) -> str:
    """The cache of a table's tensors for one TensorRT version.

    Raises ConfigError as ``header`` does, ArtifactError for a tensor whose name is no line.
    """
    lines = [header(version)]
    for name, span in table.ranges.items():
        if not name or name != " ".join(name.split()):
            raise ArtifactError(f"tensor {name!r} cannot stand on a line of a calibration cache; rename it and export")
        scale, _ = symmetric_scale(span)
        lines.append(f"{name}: {struct.pack('>f', float(scale)).hex()}")
    return "\n".join(lines) + "\n"


def from_cache(text: str, where: str = "the calibration cache") -> tuple[str, dict[str, TensorRange]]:
    """The header of a cache and its tensors' symmetric ranges. Raises ArtifactError for anything but a whole cache."""
    first, *lines = text.splitlines() or [""]
    remedy = "write it again from the calibration table"
    if not _HEADER.fullmatch(first):
        raise ArtifactError(f"{where}: starts with '{first[:60]}', expected 'TRT-8502-{ALGORITHM}' or alike; {remedy}")
    ranges: dict[str, TensorRange] = {}
    for number, line in enumerate(lines, start=2):
        found = _LINE.fullmatch(line)
        if not found:
            raise ArtifactError(f"{where}, line {number}: '{line[:60]}', expected 'TENSOR: HEX'; {remedy}")
        name, digits = found.groups()
        (scale,) = struct.unpack(">f", bytes.fromhex(digits.rjust(8, "0")))
        if name in ranges or not (np.isfinite(scale) and scale > 0):
            problem = "stands twice" if name in ranges else f"has the scale {scale}"
            raise ArtifactError(f"{where}, line {number}: tensor {name} {problem}; {remedy}")
        ranges[name] = TensorRange(-scale * 127, scale * 127)
    return first, ranges
