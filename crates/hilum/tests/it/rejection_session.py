"""Writes rejection notes (IHE IOCM) with highdicom, sends them with dcmtk's
storescu, and reads with dicomweb-client what is left."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

url, host, port, folder = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['HILUM_TOKEN']}"
client = DICOMwebClient(f"{url}/dicomweb", session=session)
images = [pydicom.dcmread(path) for path in sorted(pathlib.Path(folder).glob("*.dcm"))]
for image in images:
    for tag in [tag for tag in image.keys() if tag.group == 0]:
        del image[tag]
study, series = str(images[0].StudyInstanceUID), str(images[0].SeriesInstanceUID)
QUALITY = Code("113001", "DCM", "Rejected for Quality Reasons")
SAFETY = Code("113037", "DCM", "Rejected for Patient Safety Reasons")
WORKLIST = Code("113038", "DCM", "Incorrect Modality Worklist Entry")
EXPIRED = Code("113039", "DCM", "Data Retention Policy Expired")


def note(title, rejected):
    return KeyObjectSelectionDocument(
        evidence=rejected,
        content=KeyObjectSelection(document_title=title, referenced_objects=rejected),
        series_instance_uid=generate_uid(), series_number=900, sop_instance_uid=generate_uid(),
        instance_number=1, manufacturer="Somebody", institution_name="Somewhere",
        institutional_department_name="Radiology")


def send(*datasets):
    with tempfile.TemporaryDirectory() as out:
        for number, dataset in enumerate(datasets):
            dataset.save_as(f"{out}/{number}.dcm", enforce_file_format=True)
        sent = subprocess.run(["storescu", "-aec", "HILUM_A", "+sd", host, port, out], capture_output=True, text=True)
        assert sent.returncode == 0, sent.stderr


def found():
    return {row["00080018"]["Value"][0] for row in client.search_for_instances(study)
            if row["0020000E"]["Value"][0] == series}


def uids(datasets):
    return {str(dataset.SOPInstanceUID) for dataset in datasets}


def status(image):
    address = f"{url}/dicomweb/studies/{study}/series/{series}/instances/{image.SOPInstanceUID}"
    return [session.get(address + end, headers={"accept": kind}).status_code for end, kind in (
        ("", "application/dicom"), ("/metadata", "application/dicom+json"), ("/rendered", "image/jpeg"),
        ("/frames/1", "application/octet-stream"))]


def until(what, condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(what)


def sets():
    rows = session.get(f"{url}/api/v1/studies/{study}").json()["series"]
    return next(row for row in rows if row["series_uid"] == series)["input_sets"]


assert found() == uids(images)
runs = {title.value: some for title, some in (
    (QUALITY, images[:2]), (SAFETY, images[2:4]), (WORKLIST, images[4:5]), (EXPIRED, images[5:6]))}
notes = {}
for title in (QUALITY, SAFETY, WORKLIST, EXPIRED):
    notes[title.value] = note(title, runs[title.value])
    send(notes[title.value])
left = images[6:]
assert found() == uids(left)

# The study says how many are hidden, and why.
hidden = {row["code"]: row["instances"] for row in session.get(f"{url}/api/v1/studies/{study}").json()["rejected"]}
hidden.pop("113039", None)  # It may be deleted by now.
assert hidden == {"113001": 2, "113037": 2, "113038": 1}, hidden

# Every question of DICOMweb sees it, and so do the counts.
assert {row["00080018"]["Value"][0] for row in client.retrieve_series_metadata(study, series)} == uids(left)
assert uids(client.retrieve_series(study, series)) == uids(left)
row = client.search_for_series(study, search_filters={"SeriesInstanceUID": series})[0]
assert row["00201209"]["Value"] == [len(left)], row
row = client.search_for_studies(search_filters={"StudyInstanceUID": study})[0]
assert set(row["00080061"]["Value"]) >= {"MR", "KO"}, row
# By its address only what was rejected for its quality is given.
assert status(images[0]) == [200] * 4, status(images[0])
for image in images[2:6]:
    assert status(image) == [404] * 4, status(image)
assert status(left[0]) == [200] * 4

# What is sent again stays rejected; what is retired is deleted and refused.
send(images[0], images[2])
assert found() == uids(left)
until("retired", lambda: len(session.get(f"{url}/api/v1/deletions").json()["items"]) == 1)
again = subprocess.run(["storescu", "-aec", "HILUM_A", host, port, str(sorted(pathlib.Path(folder).glob("*.dcm"))[5])],
                       capture_output=True, text=True)
assert "0x0124" in again.stderr + again.stdout or again.returncode != 0, (again.stdout, again.stderr)

# The input set names what is left, as a later revision.
until("ready anew", lambda: sets()[-1]["state"] == "ready" and sets()[-1]["instance_count"] == len(left))
assert sets()[-1]["reason_code"] == "content-changed" and sets()[-1]["revision"] > 1, sets()

# A note of notes, or of another title, hides nothing.
send(note(SAFETY, [notes[QUALITY.value]]), note(codes.DCM.OfInterest, [left[0]]))
assert found() == uids(left)
assert len(client.search_for_instances(study, search_filters={"SOPClassUID": notes[QUALITY.value].SOPClassUID})) == 6

# A note that is deleted gives back what no other one rejects.
mistaken = notes[WORKLIST.value]
gone = session.delete(f"{url}/api/v1/studies/{study}/series/{mistaken.SeriesInstanceUID}", json={"reason": "mistake"})
assert gone.status_code == 200, gone.text
assert found() == uids(left + images[4:5])
