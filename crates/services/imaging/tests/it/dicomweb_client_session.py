"""A session of dicomweb-client, unmodified, against a DICOMweb root.

usage: dicomweb_client_session.py URL
"""
import io
import sys

import numpy
import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.data import get_testdata_file

URL = sys.argv[1] + "/dicomweb"
client = DICOMwebClient(URL)


def load(name):
    return pydicom.dcmread(get_testdata_file(name))


ct, mr, j2k = load("CT_small.dcm"), load("MR_small.dcm"), load("JPEG2000.dcm")
multi = load("emri_small.dcm")
answer = client.store_instances([ct, mr, j2k, multi])
assert len(answer.ReferencedSOPSequence) == 4, answer
assert "FailedSOPSequence" not in answer, answer
uids = lambda d: (d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPInstanceUID)
study, series, instance = uids(ct)

# Search.
assert len(client.search_for_studies()) == 4
assert len(client.search_for_studies(limit=1)) == 1
assert len(client.search_for_studies(limit=2, offset=3)) == 1
assert len(client.search_for_studies(get_remaining=True, limit=1)) == 4
found = client.search_for_studies(search_filters={"PatientID": ct.PatientID}, fuzzymatching=True)
assert [f["0020000D"]["Value"][0] for f in found] == [study], found
assert found[0]["00201208"]["Value"] == [1]
assert found[0]["00080061"]["Value"] == ["CT"]
assert found[0]["00081190"]["Value"][0].endswith(f"/dicomweb/studies/{study}")
name = str(ct.PatientName).lower()[:-1] + "?"
assert len(client.search_for_studies(search_filters={"PatientName": name})) == 1
assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
assert "00102180" not in found[0]
fields = client.search_for_studies(fields=["PatientWeight"], search_filters={"PatientID": ct.PatientID})
assert fields[0]["00101030"]["Value"][0] == float(ct.PatientWeight), fields
found = client.search_for_series(study, search_filters={"Modality": "CT"})
assert [f["0020000E"]["Value"][0] for f in found] == [series]
assert found[0]["00201209"]["Value"] == [1]
assert len(client.search_for_series()) == 4
found = client.search_for_instances(study, series)
assert [f["00080018"]["Value"][0] for f in found] == [instance]
assert found[0]["00280010"]["Value"] == [ct.Rows]
assert len(client.search_for_instances()) == 4
assert "00080061" in client.search_for_instances()[0]
for bad in ("PatientAge=1Y", "limit=x", "StudyDate=2020", "NoSuch=1"):
    assert requests.get(f"{URL}/studies?{bad}").status_code == 400, bad

# Retrieve whole instances: by default in Explicit VR Little Endian.
for sent in (ct, mr, j2k, multi):
    for got in (
        client.retrieve_instance(*uids(sent), media_types=("application/dicom",)),
        client.retrieve_series(*uids(sent)[:2])[0],
        client.retrieve_study(uids(sent)[0])[0],
        next(iter(client.iter_study(uids(sent)[0]))),
    ):
        assert got.SOPInstanceUID == sent.SOPInstanceUID
        assert got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert numpy.array_equal(got.pixel_array, sent.pixel_array)
        assert str(got.PatientName) == str(sent.PatientName)
got = client.retrieve_instance(*uids(j2k), media_types=(("application/dicom", "*"),))
assert got.file_meta.TransferSyntaxUID == j2k.file_meta.TransferSyntaxUID
assert got.PixelData == j2k.PixelData

# Metadata and bulk data.
metadata = client.retrieve_instance_metadata(*uids(ct))
assert metadata["00100020"]["Value"] == [ct.PatientID]
address = metadata["7FE00010"]["BulkDataURI"]
assert address.startswith(URL), address
assert client.retrieve_bulkdata(address)[0] == ct.PixelData
assert len(client.retrieve_series_metadata(study, series)) == 1
assert len(client.retrieve_study_metadata(study)) == 1
parsed = pydicom.Dataset.from_json(metadata, bulk_data_uri_handler=lambda uri: None)
assert parsed.StudyInstanceUID == study

# Frames: decoded, and as stored.
frames = client.retrieve_instance_frames(*uids(multi), frame_numbers=[2, 1])
values = multi.pixel_array
assert frames[0] == values[1].tobytes() and frames[1] == values[0].tobytes()
decoded = client.retrieve_instance_frames(
    *uids(j2k), frame_numbers=[1], media_types=("application/octet-stream",))
assert decoded[0] == j2k.pixel_array.tobytes()
stored = client.retrieve_instance_frames(*uids(j2k), frame_numbers=[1], media_types=("image/jp2",))
assert stored[0][:4] == b"\xff\x4f\xff\x51" or stored[0][4:8] == b"jP  "
path = f"{URL}/studies/{study}/series/{series}/instances/{instance}"
assert requests.get(f"{path}/frames/2").status_code == 404
assert requests.get(f"{path}/frames/0").status_code == 400
assert requests.get(f"{path}/frames/1", headers={"Accept": "image/jp2"}).status_code == 406
assert requests.get(f"{path}/metadata", headers={
    "Accept": 'multipart/related; type="application/dicom+xml"'}).status_code == 406
assert requests.get(f"{URL}/studies/1.2.3/metadata").status_code == 404

# Rendered.
for kind, form in (("image/png", "PNG"), ("image/jpeg", "JPEG")):
    shown = Image.open(io.BytesIO(client.retrieve_instance_rendered(*uids(ct), media_types=(kind,))))
    assert (shown.format, shown.size) == (form, (ct.Columns, ct.Rows))
shown = client.retrieve_instance_rendered(
    *uids(ct), media_types=("image/png",), params={"window": "40,400,linear", "viewport": "64,64"})
assert Image.open(io.BytesIO(shown)).size == (64, 64)
client.retrieve_instance_frames_rendered(*uids(multi), frame_numbers=[2], media_types=("image/jpeg",))
client.retrieve_series_rendered(study, series, media_types=("image/jpeg",))
for place in (f"{URL}/studies/{study}", f"{URL}/studies/{study}/series/{series}", path):
    answer = requests.get(f"{place}/thumbnail")
    assert answer.status_code == 200, answer.text
    Image.open(io.BytesIO(answer.content))
    assert requests.get(f"{place}/rendered").status_code == 200
assert requests.get(f"{path}/rendered?quality=101").status_code == 400
assert requests.get(f"{path}/rendered?annotation=patient").status_code == 400

# Store: what fails is told.
other = load("CT_small.dcm")
other.SOPInstanceUID += ".7"
other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
buffer = io.BytesIO()
other.save_as(buffer)
kind = 'multipart/related; type="application/dicom"; boundary=b'


def part(data):
    return b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + data


def post(body, to="/studies", content_type=kind):
    return requests.post(URL + to, data=body, headers={
        "Content-Type": content_type, "Accept": "application/dicom+json"})


refused = post(part(buffer.getvalue()) + b"\r\n--b--", to="/studies/1.2.3")
assert refused.status_code == 409, refused.text
mixed = post(part(b"rubbish") + part(buffer.getvalue()) + b"\r\n--b--")
assert mixed.status_code == 202, mixed.text
assert len(mixed.json()["00081199"]["Value"]) == 1
assert mixed.json()["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC000]
assert post(b"no boundary ever").status_code == 400
assert post(b"x" * (4 << 20)).status_code == 400
assert post(part(buffer.getvalue()[:-10])).status_code == 400
assert post(b"{}", content_type="application/json").status_code == 415
print("all is well")
