"""DICOM ultrasound for tests: small sources with a patient who must not leak, and masks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from edge3vt.core.segmentation import Mask


def source(path: Path, frames: int = 6, height: int = 31, width: int = 45, **elements: Any) -> Path:
    """Write a cine, or for one frame a still, whose pixels do not fill whole bytes of one bit each."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage if frames > 1 else UltrasoundImageStorage
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3", "1.2.3.9"
    ds.Modality, ds.SeriesNumber, ds.FrameTime = "US", "7", "40"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "CANARY^JANE", "C-1", "19900102", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyDescription = "20250304", "101112", "fetal echo"
    ds.InstitutionName = ds.OperatorsName = "CANARY"
    ds.Rows, ds.Columns = height, width
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    pixels = np.random.default_rng(1).integers(0, 256, frames * height * width, dtype=np.uint8).tobytes()
    ds.PixelData = pixels + bytes(len(pixels) % 2)
    ds["PixelData"].VR = "OB"
    for name, value in elements.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    ds.save_as(path, enforce_file_format=True)
    return path


def masks(indices: tuple[int, ...] = (0, 2, 5), height: int = 31, width: int = 45) -> Iterator[tuple[int, Mask]]:
    """Two structures a frame, which move."""
    for index in indices:
        mask = np.zeros((height, width), np.uint8)
        mask[3 + index : 12 + index, 4:20] = 1
        mask[20:25, 21 + index : 30 + index] = 4 if index % 2 == 0 else 5
        yield index, mask
