"""Sends images again as dcmtk and GDCM re-encode them, and asks which of them
are conflicts in the end.

usage: same_image_again.py URL
"""
import os
import subprocess
import sys
import tempfile
import time

import pydicom
import requests

ROOT = sys.argv[1]
DICOMWEB = f"{ROOT}/dicomweb"
KIND = 'multipart/related; type="application/dicom"; boundary=b7f3'
FILES = os.path.join(os.path.dirname(pydicom.__file__), "data", "test_files")


def store(path):
    body = b"--b7f3\r\nContent-Type: application/dicom\r\n\r\n" + open(path, "rb").read() + b"\r\n--b7f3--\r\n"
    headers = {"Content-Type": KIND, "Accept": "application/dicom+json"}
    answer = requests.post(f"{DICOMWEB}/studies", body, headers=headers, timeout=60)
    assert answer.status_code == 200, (path, answer.status_code, answer.text)


def conflicts():
    return requests.get(f"{ROOT}/instance-conflicts", timeout=60).json()["items"]


def become(count, what):
    """A comparison takes a moment; what is left afterwards stays."""
    end = time.monotonic() + 60
    while len(conflicts()) != count:
        assert time.monotonic() < end, (what, conflicts())
        time.sleep(0.05)


def encoded(tool, *arguments):
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"{tool} is missing: run `make test-deps`")
    assert done.returncode == 0, (tool, arguments, done.stderr)


LOSSLESS = {
    "RLE": ("dcmcrle",),
    "JPEG-LS": ("dcmcjpls",),
    "JPEG lossless": ("dcmcjpeg", "+e1"),
    "JPEG 2000": ("gdcmconv", "--j2k"),
    "big endian": ("dcmconv", "+tb"),
    "deflated": ("dcmconv", "+td"),
}
LOSSY = {
    "JPEG-LS near-lossless": ("gdcmconv", "--jpegls", "--lossy", "-e", "3"),
    "JPEG 2000 irreversible": ("gdcmconv", "--j2k", "--lossy", "--irreversible", "-q", "20"),
}

with tempfile.TemporaryDirectory() as folder:
    left = 0
    # Native first, compressed first; signed grey of 16 bits, and colour.
    for number, (name, first) in enumerate(
        [("CT_small.dcm", None), ("MR_small.dcm", "JPEG 2000"), ("SC_rgb_rle.dcm", None)]
    ):
        image = pydicom.dcmread(os.path.join(FILES, name))
        if image.file_meta.TransferSyntaxUID.is_compressed:
            image.decompress(generate_instance_uid=False)
        native = os.path.join(folder, f"{number}.dcm")
        image.save_as(native)
        if first:
            served = os.path.join(folder, f"{number}-first.dcm")
            encoded(*LOSSLESS[first], native, served)
            store(served)
        store(native)
        become(left, f"{name}, native after {first}")
        for title, command in LOSSLESS.items():
            again = os.path.join(folder, f"{number}-{title}.dcm")
            encoded(*command, native, again)
            assert pydicom.dcmread(again).SOPInstanceUID == image.SOPInstanceUID
            store(again)
            become(left, f"{name} as {title}")

        if image.SamplesPerPixel == 1:
            for title, command in LOSSY.items():
                lossy = os.path.join(folder, f"{number}-{title}.dcm")
                encoded(*command, native, lossy)
                # GDCM knows that this should be another instance; others don't.
                under_the_same_uid = pydicom.dcmread(lossy)
                under_the_same_uid.SOPInstanceUID = image.SOPInstanceUID
                under_the_same_uid.save_as(lossy)
                store(lossy)
                left += 1
        pixels = bytearray(image.PixelData)
        pixels[len(pixels) // 2] ^= 1
        image.PixelData = bytes(pixels)
        other = os.path.join(folder, f"{number}-other.dcm")
        image.save_as(other)
        contradiction = os.path.join(folder, f"{number}-other-rle.dcm")
        encoded("dcmcrle", other, contradiction)
        store(contradiction)
        left += 1
        # What comes after the contradictions shows that they were looked at.
        again = os.path.join(folder, f"{number}-after.dcm")
        encoded("gdcmconv", "--rle", native, again)
        store(again)
        become(left, f"contradictions of {name}")

        path = f"studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"
        answer = requests.get(
            f"{DICOMWEB}/{path}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
            timeout=60,
        )
        first_bytes = open(served if first else native, "rb").read()[-1000:]
        assert first_bytes in answer.content, f"{name}: the first one is served"
