"""Every file by C-STORE, each in an association of its own; what is
acknowledged must come back by WADO-RS with the same data-set bytes.

come_back.py DICOM_HOST:PORT HTTP_HOST:PORT FILES...

HILUM_TOKEN is a bearer token that may retrieve.
"""

import io
import json
import os
import sys
import urllib.request

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_preamble
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE


ADMISSION = {"Authorization": f"Bearer {os.environ['HILUM_TOKEN']}"}


def split(raw):
    stream = DicomBytesIO(raw)
    read_preamble(stream, force=False)
    meta = _read_file_meta_info(stream)
    return meta, raw[stream.tell() :]


def first_part(body):
    body = body.removeprefix(b"\r\n")
    boundary = body[: body.index(b"\r\n")]
    return body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n" + boundary)]


host, port = sys.argv[1].split(":")
sent = stored = compared = 0
wrong = []
served = set()
for path in sys.argv[3:]:
    raw = open(path, "rb").read()
    try:
        meta, data_set = split(raw)
        sop_class = str(meta.MediaStorageSOPClassUID)
        instance, syntax = str(meta.MediaStorageSOPInstanceUID), str(meta.TransferSyntaxUID)
        ae = AE(ae_title="PYNETDICOM")
        ae.add_requested_context(sop_class, syntax)
    except Exception:
        continue  # no part-10 file that a sender could send
    ae.dimse_timeout = ae.network_timeout = ae.acse_timeout = 60
    association = ae.associate(host, int(port), ae_title="HILUM_A")
    if not association.is_established:
        # Media storage directories and private classes without a context.
        if association.is_rejected:
            wrong.append(f"{path}: rejected")
        continue
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, instance
    request.DataSet = io.BytesIO(data_set)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    sent += 1
    if answer is None:
        wrong.append(f"{path}: no answer")
        continue
    association.release()
    if answer.Status != 0:
        continue
    stored += 1
    if instance in served:
        continue  # another file of the same instance: the first is served
    served.add(instance)
    query = f"http://{sys.argv[2]}/dicomweb/instances?SOPInstanceUID={instance}"
    with urllib.request.urlopen(urllib.request.Request(query, headers=ADMISSION)) as reply:

        found = json.load(reply)[0]
    study, series = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E"))
    url = f"http://{sys.argv[2]}/dicomweb/studies/{study}/series/{series}/instances/{instance}"
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept, **ADMISSION})) as reply:
        _, back = split(first_part(reply.read()))
    # STOW may have brought another file of this instance before.
    candidates = [data_set]
    for other in sys.argv[3:]:
        if other != path:
            try:
                _, other_set = split(open(other, "rb").read())
                other_uid = pydicom.dcmread(other, specific_tags=["SOPInstanceUID"])
            except Exception:
                continue
            if str(other_uid.get("SOPInstanceUID", "")) == instance:
                candidates.append(other_set)
    if back in candidates:
        compared += 1
    else:
        wrong.append(f"{path}: came back different")
print(f"{sent} sent, {stored} stored, {compared} compared")
print("\n".join(wrong))
sys.exit(bool(wrong) or compared < 40)
