"""Moves a series and instances to where they belong, merges studies, and holds
what comes back against what was sent: pydicom and dicomweb-client are the judges."""
import copy
import pathlib
import subprocess
import sys
import tempfile

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import generate_uid

api = sys.argv[1]
client = DICOMwebClient(api + "/dicomweb")
slices = [pydicom.dcmread(path) for path in sorted(pathlib.Path(sys.argv[2]).glob("*.dcm"))[1:6]]
for image in slices:
    for tag in [tag for tag in image.keys() if tag.group == 0]:
        del image[tag]


def study(patient, name, images, **more):
    """Copies as a study of their own."""
    made, uids = [], (generate_uid(), generate_uid())
    for image in images:
        one = copy.deepcopy(image)
        one.StudyInstanceUID, one.SeriesInstanceUID = uids
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        one.PatientID, one.PatientName = patient, name
        for keyword, value in more.items():
            setattr(one, keyword, value)
        made.append(one)
    client.store_instances(datasets=made)
    return made


def ask(method, path, status=200, **more):
    answer = requests.request(method, api + path, **more)
    assert answer.status_code == status, (method, path, answer.status_code, answer.text)
    return answer.json() if status < 300 else answer


def move(of, status=200, **body):
    return ask("POST", f"/studies/{of.StudyInstanceUID}/moves", status, json={"reason": "wrong patient", **body})


def retrieve(study, series, image):
    return client.retrieve_instance(study, series, str(image.SOPInstanceUID), media_types=(("application/dicom", "*"),))


def faults(dataset):
    with tempfile.TemporaryDirectory() as folder:
        dataset.save_as(f"{folder}/one.dcm")
        judged = subprocess.run(["dciodvfy", f"{folder}/one.dcm"], capture_output=True, text=True)
    return {line for line in judged.stderr.splitlines() if line.startswith("Error")}


def uids(datasets):
    return {str(dataset.SOPInstanceUID) for dataset in datasets}


def in_study(uid):
    return {row["00080018"]["Value"][0] for row in client.search_for_instances(uid)}


# A series of the wrong patient goes to a study that is there.
wrong = study("WRONG", "Wrong^Wanda", slices[:3], PatientAddress="Elsewhere 1", StudyDescription="KNEE")
right = study("RIGHT", "Right^Rita", slices[3:4], PatientBirthDate="19700131", AccessionNumber="A7",
              StudyDescription="BRAIN", PatientWeight="61.5")
there, series = str(right[0].StudyInstanceUID), str(wrong[0].SeriesInstanceUID)
answer = move(wrong[0], series_uid=series, to_study_uid=there)
assert answer == {"study_uid": there, "series_uid": None, "instances": 3}, answer
assert client.search_for_studies(search_filters={"PatientID": "WRONG"}) == []
(row,) = client.search_for_studies(search_filters={"PatientID": "RIGHT"})
assert row["00201208"]["Value"] == [4] and row["00201206"]["Value"] == [2], row
assert in_study(there) == uids(wrong + right)
ask("GET", f"/studies/{wrong[0].StudyInstanceUID}", 404)
metadata = {one["00080018"]["Value"][0]: one for one in client.retrieve_study_metadata(there)}
for sent in wrong:
    told = metadata[str(sent.SOPInstanceUID)]
    got = retrieve(there, series, sent)
    assert told["0020000D"]["Value"] == [there] and told["00100020"]["Value"] == ["RIGHT"], told
    assert (got.StudyInstanceUID, got.SeriesInstanceUID) == (there, series)
    assert got.PatientID == "RIGHT" and str(got.PatientName) == "Right^Rita" and got.PatientBirthDate == "19700131"
    assert got.AccessionNumber == "A7" and got.StudyDescription == "BRAIN" and got.PatientWeight == 61.5
    assert "PatientAddress" not in got and got.PixelData == sent.PixelData
    (item,) = got.OriginalAttributesSequence
    before = item.ModifiedAttributesSequence[0]
    assert before.StudyInstanceUID == sent.StudyInstanceUID and before.PatientID == "WRONG"
    assert before.PatientAddress == "Elsewhere 1" and before.StudyDescription == "KNEE"
    assert "04000561" in told
    assert faults(got) <= faults(sent), faults(got) - faults(sent)
    for kind, end in (("image/jpeg", "/rendered"), ("application/octet-stream", "/frames/1")):
        address = f"{api}/dicomweb/studies/{there}/series/{series}/instances/{sent.SOPInstanceUID}{end}"
        assert requests.get(address, headers={"accept": kind}).status_code == 200
    received = requests.get(f"{api}/studies/{there}/series/{series}/instances/{sent.SOPInstanceUID}/received")
    with tempfile.NamedTemporaryFile() as file:
        pathlib.Path(file.name).write_bytes(received.content)
        assert pydicom.dcmread(file.name).PatientID == "WRONG"

# What comes later follows, what comes again is known.
client.store_instances(datasets=wrong[:1])
late = copy.deepcopy(wrong[0])
late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = generate_uid()
client.store_instances(datasets=[late])
assert in_study(there) == uids([*wrong, *right, late])
assert retrieve(there, series, late).PatientID == "RIGHT"
# A correction of the study is one of what came to it.
ask("POST", f"/studies/{there}/corrections", json={"set": {"PatientSex": "O"}, "reason": "known now"})
got = retrieve(there, series, late)
assert got.PatientSex == "O" and len(got.OriginalAttributesSequence) == 2 and got.StudyInstanceUID == there
history = ask("GET", f"/studies/{there}/corrections")["items"]
assert [entry["reason"] for entry in history] == ["wrong patient", "known now"]
assert {"keyword": "StudyInstanceUID", "tag": "0020000D", "before": str(wrong[0].StudyInstanceUID),
        "after": there} in history[0]["changes"]

# It moves back into a study that is made, of the patient that it was of.
back = move(right[0], series_uid=series, set={"PatientID": "WRONG", "PatientName": "Wrong^Wanda"},
            to_study_uid=str(wrong[0].StudyInstanceUID))
assert back["instances"] == 4
assert in_study(there) == uids(right)
got = retrieve(str(wrong[0].StudyInstanceUID), series, wrong[0])
assert got.PatientID == "WRONG" and got.StudyInstanceUID == wrong[0].StudyInstanceUID
client.store_instances(datasets=[study("X", "X", slices[4:])[0]])
assert len(got.OriginalAttributesSequence) == 3

# Instances split off into a new series, and join one that is there.
split = move(wrong[0], series_uid=series, sop_instance_uids=[str(wrong[1].SOPInstanceUID)], to_new_series=True)
assert split["instances"] == 1 and split["study_uid"] == str(wrong[0].StudyInstanceUID)
got = retrieve(split["study_uid"], split["series_uid"], wrong[1])
assert got.SeriesInstanceUID == split["series_uid"]
join = move(wrong[0], series_uid=series, sop_instance_uids=[str(wrong[2].SOPInstanceUID)],
            to_series_uid=split["series_uid"])
assert join["instances"] == 1
assert uids(client.retrieve_series(split["study_uid"], split["series_uid"])) == uids(wrong[1:3])

# Two studies become one.
one, two = study("SAME", "Same^Sam", slices[:2]), study("SAME", "Same^Sam", slices[2:4])
merged = move(one[0], to_study_uid=str(two[0].StudyInstanceUID))
assert merged["instances"] == 2 and in_study(str(two[0].StudyInstanceUID)) == uids(one + two)
for sent in one:
    got = retrieve(str(two[0].StudyInstanceUID), str(sent.SeriesInstanceUID), sent)
    assert got.StudyInstanceUID == two[0].StudyInstanceUID

# What says nothing sensible is refused and changes nothing.
here = str(two[0].SeriesInstanceUID)
for wish, status in (({}, 409), ({"to_study_uid": "1.2.x"}, 400), ({"sop_instance_uids": ["1.2"]}, 400),
                     ({"series_uid": "1.2.3", "to_study_uid": there}, 404), ({"to_new_series": True}, 400),
                     ({"series_uid": here, "to_study_uid": there, "set": {"PatientID": "X"}}, 400),
                     ({"series_uid": here, "to_study_uid": str(two[0].StudyInstanceUID)}, 400)):
    if wish:
        move(two[0], status, **wish)
assert in_study(str(two[0].StudyInstanceUID)) == uids(one + two)
