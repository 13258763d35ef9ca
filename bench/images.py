"""Synthetic CT slices: 512×512, 16 bits, from a seed, every UID unique. Bytes of one template are
patched, so that thousands are written at the disk's speed."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

# Of one width, so that a template's bytes can be replaced by an instance's.
ROOT = "1.2.826.0.1.3680043.10.1492"
SIZE = 512


@dataclass
class Instance:
    path: Path
    study: str
    series: str
    uid: str
    data: bytes | None = None


def uid(kind, number):
    return f"{ROOT}.{kind}.1{number:011d}"


class Slices:
    def __init__(self, seed, size=SIZE):
        self.random = numpy.random.default_rng(seed)
        self.next = int(self.random.integers(1, 10**9)) * 10
        self.size = size
        rows, columns = numpy.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        self.body = numpy.where(rows**2 + 1.4 * columns**2 < 0.7, 1040 + 60 * numpy.sin(9 * rows), 24)
        self.template = self.build()

    def build(self):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = uid(3, 0)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, uid(3, 0)
        image.StudyInstanceUID, image.SeriesInstanceUID = uid(1, 0), uid(2, 0)
        image.FrameOfReferenceUID = uid(2, 0)
        image.PatientID, image.PatientName = "BENCH-0000000000", "BENCH^SYNTHETIC"
        image.PatientBirthDate, image.PatientSex = "19700101", "O"
        image.StudyDate = image.SeriesDate = image.AcquisitionDate = "20260101"
        image.StudyTime = image.SeriesTime = image.AcquisitionTime = "120000"
        image.StudyID, image.AccessionNumber, image.ReferringPhysicianName = "1", "BENCH", ""
        image.StudyDescription, image.SeriesDescription = "Synthetic", "Synthetic axial"
        image.Modality, image.Manufacturer, image.SeriesNumber = "CT", "Synthetic", 1
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.InstanceNumber = "00001"
        image.ImagePositionPatient = ["-250", "-250", "00000.0"]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = ["0.9765625", "0.9765625"], "1"
        image.KVP, image.PatientPosition = "120", "HFS"
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows = image.Columns = self.size
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
        image.RescaleIntercept, image.RescaleSlope = "-1024", "1"
        image.WindowCenter, image.WindowWidth = "40", "400"
        image.PixelData = bytes(2 * self.size * self.size)
        out = io.BytesIO()
        image.save_as(out, enforce_file_format=True)
        return out.getvalue()

    def study(self, folder, count, patient=None, studies=1, keep=False):
        """`count` slices for each of `studies` studies, written below `folder`."""
        folder.mkdir(parents=True)
        self.next += 1
        patient = patient or f"BENCH-{self.next % 10**10:010d}"
        written = []
        for _ in range(studies):
            self.next += 1
            study, series = uid(1, self.next), uid(2, self.next)
            for number in range(1, count + 1):
                self.next += 1
                instance = uid(3, self.next)
                head = self.template[: -2 * self.size * self.size]
                for old, new in [
                    (uid(1, 0), study),
                    (uid(2, 0), series),
                    (uid(3, 0), instance),
                    ("BENCH-0000000000", patient),
                    ("\\00000.0", f"\\{number:05d}.0"),
                    ("IS\x06\x0000001 ", f"IS\x06\x00{number:05d} "),
                ]:
                    head = head.replace(old.encode(), new.encode())
                noise = self.random.integers(-20, 20, self.body.shape, dtype=numpy.int16)
                data = head + (self.body + noise).astype("<u2").tobytes()
                path = folder / f"{instance}.dcm"
                path.write_bytes(data)
                written.append(Instance(path, study, series, instance, data if keep else None))
        return patient, written
