"""dicomweb-client, unmodified, sends to an archive that has no room.

usage: no_room_session.py URL KEY FILE...
"""
import sys

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient

url, key, *files = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {key}"
client = DICOMwebClient(f"{url}/dicomweb", session=session)
try:
    client.store_instances([pydicom.dcmread(file) for file in files])
except requests.HTTPError as refused:
    answer = refused.response
else:
    sys.exit("dicomweb-client was told that everything is stored")
assert answer.status_code == 507, (answer.status_code, answer.text)
failed = pydicom.Dataset.from_json(answer.text).FailedSOPSequence
assert [one.FailureReason for one in failed] == [0xA700] * len(files), failed
