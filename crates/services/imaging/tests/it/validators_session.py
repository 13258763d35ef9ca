"""Conditional requests and ranges (RFC 9110 §13, §14) as a browser makes them."""

import copy
import sys

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

root = sys.argv[1] + "/dicomweb"
web = requests.Session()
image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
DICOMwebClient(root).store_instances([image])
study = f"{root}/studies/{image.StudyInstanceUID}"
series = f"{study}/series/{image.SeriesInstanceUID}"
instance = f"{series}/instances/{image.SOPInstanceUID}"

JSON = {"Accept": "application/dicom+json"}
RAW = {"Accept": "application/octet-stream"}
MULTIPART = {"Accept": 'multipart/related; type="application/octet-stream"'}
JPEG = {"Accept": "image/jpeg"}


def get(address, headers, expected, **more):
    answer = web.get(address, headers=headers | {name.replace("_", "-"): value for name, value in more.items()})
    assert answer.status_code == expected, (address, answer.status_code, answer.text[:300])
    return answer


# Whoever has an answer is told so, and is not sent it again.
known = {}
for address, headers in [
    (f"{study}/metadata", JSON),
    (f"{series}/metadata", JSON),
    (f"{instance}/metadata", JSON),
    (f"{instance}/frames/1", RAW),
    (f"{instance}/frames/1", MULTIPART),
    (f"{instance}/bulkdata/7FE00010", RAW),
    (f"{instance}/rendered", JPEG),
    (f"{instance}/thumbnail", JPEG),
    (instance, {"Accept": 'application/dicom; transfer-syntax=*'}),
    (study, {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}),
]:
    whole = get(address, headers, 200)
    tag = whole.headers["ETag"]
    assert whole.headers["Cache-Control"] == "private, no-cache"
    again = get(address, headers, 304, If_None_Match=tag)
    assert again.headers["ETag"] == tag and again.content == b""
    other = get(address, headers, 200, If_None_Match='"another"')
    # A weak validator says that the answer means the same, not that every byte is (RFC 9110 §8.8.1).
    assert other.headers["ETag"] == tag and (tag.startswith("W/") or other.content == whole.content)
    known[address] = tag
assert get(f"{instance}/rendered", JPEG, 200, If_None_Match=known[f"{instance}/thumbnail"])
assert get(f"{instance}/rendered?window=10,20,linear", JPEG, 200, If_None_Match=known[f"{instance}/rendered"])

# The same metadata in every coding, each with a validator of its own.
tags = set()
plain = get(f"{series}/metadata", JSON, 200, Accept_Encoding="identity")
for coding in (None, "gzip", "zstd"):
    wish = {"Accept_Encoding": coding or "identity"}
    for address in (f"{study}/metadata", f"{series}/metadata", f"{instance}/metadata"):
        coded = get(address, JSON, 200, **wish)
        assert coded.headers.get("Content-Encoding") == coding
        assert "accept-encoding" in coded.headers["Vary"]
        assert len(coded.content) == int(coded.headers["Content-Length"]) or coding == "gzip"
        if coding != "zstd":
            assert coded.json() == plain.json(), "requests undoes gzip"
        tags.add(coded.headers["ETag"])
        assert get(address, JSON, 304, If_None_Match=coded.headers["ETag"], **wish).content == b""
        head = web.head(address, headers=JSON | {"Accept-Encoding": coding or "identity"})
        assert head.status_code == 200 and head.content == b""
        assert head.headers["ETag"] == coded.headers["ETag"]
assert len(tags) == 9

# An address that says its version is kept; one of other bytes leads nowhere, and one of another correction here.
bulk = plain.json()[0]["7FE00010"]["BulkDataURI"]
path, version = bulk.split("?v=")
assert path == f"{instance}/bulkdata/7FE00010"
for address, headers in [(path, RAW), (path, MULTIPART), (f"{instance}/frames/1", RAW), (f"{instance}/frames/1", MULTIPART)]:
    for kept in (get(f"{address}?v={version}", headers, 200), get(f"{address}?accept=*/*&v={version}", headers, 200)):
        assert kept.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    again = get(f"{address}?v={version}", headers, 304, If_None_Match=get(address, headers, 200).headers["ETag"])
    assert again.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert get(address, headers, 200).headers["Cache-Control"] == "private, no-cache"
    gone = get(f"{address}?v={'0' * 16}", headers, 410)
    assert gone.headers["Content-Type"] == "application/problem+json" and "ETag" not in gone.headers
    moved = web.get(f"{address}?v={version}-0123456789abcdef", headers=headers, allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (307, f"?v={version}")
    followed = get(f"{address}?v={version}-0123456789abcdef", headers, 200)
    assert followed.content == get(address, headers, 200).content
assert DICOMwebClient(root).retrieve_bulkdata(bulk)[0] == image.PixelData

# A range is a part of the same bytes; what changed meanwhile is sent whole.
for address, headers in [
    (f"{instance}/frames/1", RAW),
    (f"{instance}/bulkdata/7FE00010", RAW),
    (instance, {"Accept": "application/dicom; transfer-syntax=*"}),
]:
    whole = get(address, headers, 200)
    size = len(whole.content)
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = get(address, headers, 206, Range="bytes=1000-1999")
    assert part.content == whole.content[1000:2000]
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{size}"
    assert part.headers["Content-Length"] == "1000"
    assert get(address, headers, 206, Range="bytes=-7").content == whole.content[-7:]
    assert get(address, headers, 206, Range="bytes=5-", If_Range=whole.headers["ETag"]).content == whole.content[5:]
    assert get(address, headers, 200, Range="bytes=5-", If_Range='"another"').content == whole.content
    refused = get(address, headers, 416, Range=f"bytes={size}-")
    assert refused.headers["Content-Range"] == f"bytes */{size}"

# A new instance is a new version of its series and study, and of nothing else.
second = copy.deepcopy(image)
second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = generate_uid()
second.InstanceNumber = 2
DICOMwebClient(root).store_instances([second])
both = get(f"{study}/metadata", JSON, 200, If_None_Match=known[f"{study}/metadata"])
assert len(both.json()) == 2
get(f"{instance}/frames/1", MULTIPART, 304, If_None_Match=known[f"{instance}/frames/1"])
