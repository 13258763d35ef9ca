"""Merges two patients into one and takes it back; dicomweb-client and pydicom
are the judges."""
import copy
import pathlib
import sys
import time

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import generate_uid

api = sys.argv[1]
client = DICOMwebClient(api + "/dicomweb")
image = pydicom.dcmread(sorted(pathlib.Path(sys.argv[2]).glob("*.dcm"))[1])
for tag in [tag for tag in image.keys() if tag.group == 0]:
    del image[tag]


def study(patient, name, **more):
    one = copy.deepcopy(image)
    one.StudyInstanceUID, one.SeriesInstanceUID = generate_uid(), generate_uid()
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    one.PatientID, one.PatientName = patient, name
    for keyword, value in more.items():
        setattr(one, keyword, value)
    client.store_instances(datasets=[one])
    return one


def merge(prior, surviving, status=200):
    answer = requests.post(f"{api}/patient-merges", json={
        "prior": {"id": prior}, "surviving": {"id": surviving}, "reason": "the same person"})
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()


def of(patient):
    return {row["0020000D"]["Value"][0] for row in client.search_for_studies(search_filters={"PatientID": patient})}


def becomes(patient, studies):
    expected = {str(one.StudyInstanceUID) for one in studies}
    for _ in range(100):
        if of(patient) == expected:
            return
        time.sleep(0.1)
    raise AssertionError((patient, of(patient), expected))


old = [study("OLD", "Doe^Jane"), study("OLD", "Doe^Jane")]
new = [study("NEW", "Roe^Jane", PatientBirthDate="19700131")]
merged = merge("OLD", "NEW")
assert merged["studies"] == 2, merged
becomes("OLD", [])
becomes("NEW", old + new)
got = client.retrieve_instance(str(old[0].StudyInstanceUID), str(old[0].SeriesInstanceUID),
                               str(old[0].SOPInstanceUID), media_types=(("application/dicom", "*"),))
assert got.PatientID == "NEW" and str(got.PatientName) == "Roe^Jane" and got.PatientBirthDate == "19700131"
assert got.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientID == "OLD"

# What comes later follows, also along two merges.
old.append(study("OLD", "Doe^Jane"))
becomes("NEW", old + new)
last = merge("NEW", "LAST")
assert last["studies"] == 4, last
old.append(study("OLD", "Doe^Jane"))
becomes("LAST", old + new)
merge("LAST", "OLD", 400)
merge("LAST", "LAST", 400)
listed = requests.get(f"{api}/patient-merges").json()["items"]
assert [(entry["prior"], entry["surviving"]) for entry in listed] == [
    ({"id": "NEW"}, {"id": "LAST"}), ({"id": "OLD"}, {"id": "NEW"})], listed

# Undone, each is who it was before.
assert requests.delete(f"{api}/patient-merges/{last['id']}").json() == {"studies": 5}
becomes("NEW", old + new)
assert requests.delete(f"{api}/patient-merges/{merged['id']}").json() == {"studies": 4}
becomes("OLD", old)
becomes("NEW", new)
assert requests.delete(f"{api}/patient-merges/{merged['id']}").status_code == 404
