"""Writes hostile and odd instances.

cases.py FOLDER SAMPLE.dcm, where SAMPLE is explicit VR little endian. Writes
FOLDER/NAME (the bytes of a data set) and FOLDER/cases.json: for each case
`name`, `path`, the UIDs that a sender claims, the transfer syntax and what is
expected: `refused` (a reason code) or `flag` (a flag of a stored instance), or
`undecodable` (stored, and its pixels are refused).
"""

import copy
import io
import json
import os
import struct
import sys

import pydicom
from pydicom.filewriter import write_dataset
from pydicom.filebase import DicomBytesIO

EXPLICIT = "1.2.840.10008.1.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
folder, sample = sys.argv[1:]
cases = []
original = pydicom.dcmread(sample)
original.remove_private_tags()
if (0x0000, 0x0000) in original:
    del original[0x0000, 0x0000]
original.PatientName = "HILUMMARKER^NAME"
original.PatientID = "HILUMMARKERID"
# Palette lies need eight bits.
original.Modality = "OT"


def encoded(dataset):
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    return stream.getvalue()


def fresh(name):
    dataset = copy.deepcopy(original)
    dataset.SOPInstanceUID = f"1.2.3.100.{len(cases) + 1}"
    dataset.StudyInstanceUID = "1.2.3.100"
    dataset.SeriesInstanceUID = f"1.2.3.100.{len(cases) + 1}.1"
    return dataset


def case(name, raw, **expected):
    path = os.path.join(folder, name)
    open(path, "wb").write(raw)
    cases.append(
        dict(
            name=name,
            path=path,
            sop_class=MR,
            sop_instance=f"1.2.3.100.{len(cases) + 1}",
            transfer_syntax=EXPLICIT,
            **expected,
        )
    )


def element(group, number, vr, value):
    head = struct.pack("<HH", group, number) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UT"):
        return head + b"\0\0" + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


# Refused: bytes that no data set can be.
case("not-dicom", b"GIF89a, this is a picture of a cat and not DICOM" * 20, refused=True)
whole = encoded(fresh("x"))
case("truncated-in-header", encoded(fresh("x"))[:-131072][:-5], refused=True)
case("truncated-in-pixels", encoded(fresh("x"))[:-1000], refused=True)
dataset = fresh("x")
for keyword in ("PixelData", "ReferencedImageSequence"):
    if keyword in dataset:
        delattr(dataset, keyword)
item = pydicom.Dataset()
item.ReferencedSOPClassUID = MR
item.ReferencedSOPInstanceUID = "1.2.3"
dataset.add_new((0x0088, 0x0200), "SQ", [item])
case("truncated-in-sequence", encoded(dataset)[:-6], refused=True)
for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
    dataset = fresh("x")
    delattr(dataset, keyword)
    case(f"no-{keyword}", encoded(dataset), refused=True)
# 10,000 levels of sequences and items with undefined lengths.
dataset = fresh("x")
del dataset.PixelData
opening = b"\x88\x00\x00\x02SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
closing = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
case("nested-10000-deep", encoded(dataset) + opening * 10_000 + closing * 10_000, refused=True)

# Stored, and flagged.
dataset = fresh("x")
dataset.add_new("SliceThickness", "DS", "5.0")
raw = encoded(dataset).replace(
    struct.pack("<HH", 0x0018, 0x0088) + b"DS", struct.pack("<HH", 0x0018, 0x0088) + b"LO"
)
case("wrong-vr", raw, flag="wrong-vr")
dataset = fresh("x")
del dataset.PatientBirthDate
case("missing-type-2", encoded(dataset), flag="missing")
case("trailing-bytes", encoded(fresh("x")) + b"\0" * 999, flag="trailing")
dataset = fresh("x")
dataset.SpecificCharacterSet = "ISO_IR 192"
dataset.StudyDescription = "XXXX"
case(
    "undecodable-text",
    encoded(dataset).replace(b"XXXX", b"\xff\xfe\xc3\x28"),
    flag="text",
)

# Stored; decoding is refused.
dataset = fresh("x")
dataset.Rows = dataset.Columns = 65535
case("65535x65535", encoded(dataset), undecodable=True)
dataset = fresh("x")
dataset.PhotometricInterpretation = "PALETTE COLOR"
dataset.add_new((0x0028, 0x1101), "US", [65535, 0, 16])
dataset.add_new((0x0028, 0x1102), "US", [65535, 0, 16])
dataset.add_new((0x0028, 0x1103), "US", [65535, 0, 16])
for tag in (0x1201, 0x1202, 0x1203):
    dataset.add_new((0x0028, tag), "OW", b"\0\1\2\3")
case("palette-lies", encoded(dataset), undecodable=True)
dataset = fresh("x")
dataset.NumberOfFrames = "2000000000"
# The frame that is there is shown; the others are not.
case("frames-lie", encoded(dataset), flag="frames")

json.dump(cases, open(os.path.join(folder, "cases.json"), "w"))
