"""C-STORE of raw bytes with pynetdicom, without looking into them.

store_raw.py HOST:PORT ITEMS.json [--called AE] [--end release|abort|vanish] [--timeout SECONDS]

ITEMS is a list of objects: `path` (the file), and either `part10: true` (the
data set behind the file's meta information, named by it) or `sop_class`,
`sop_instance`, `transfer_syntax` (the whole file is the data set). Prints one
status for each, null where the association was gone. `--end vanish`:
the sender dies without a word.
"""

import argparse
import io
import json
import os

from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_preamble
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE


def item(described):
    raw = open(described["path"], "rb").read()
    if not described.get("part10"):
        return (
            described["sop_class"],
            described["sop_instance"],
            described["transfer_syntax"],
            raw,
        )
    stream = DicomBytesIO(raw)
    read_preamble(stream, force=False)
    meta = _read_file_meta_info(stream)
    return (
        str(meta.MediaStorageSOPClassUID),
        str(meta.MediaStorageSOPInstanceUID),
        str(meta.TransferSyntaxUID),
        raw[stream.tell() :],
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("items")
    parser.add_argument("--called", default="HILUM_A")
    parser.add_argument("--end", default="release")
    parser.add_argument("--timeout", type=int, default=60)
    options = parser.parse_args()
    host, port = options.address.rsplit(":", 1)
    items = [item(described) for described in json.load(open(options.items))]

    statuses = [None] * len(items)
    waiting = list(range(len(items)))
    while waiting:
        # An association has at most 128 presentation contexts (PS3.8 9.3.2.2).
        batch, contexts = [], set()
        for index in waiting:
            context = items[index][0], items[index][2]
            if context in contexts or len(contexts) < 128:
                contexts.add(context)
                batch.append(index)
        waiting = [index for index in waiting if index not in batch]
        ae = AE(ae_title="PYNETDICOM")
        ae.dimse_timeout = ae.network_timeout = ae.acse_timeout = options.timeout
        for sop_class, syntax in contexts:
            ae.add_requested_context(sop_class, syntax)
        association = ae.associate(host, int(port), ae_title=options.called)
        accepted = {
            (c.abstract_syntax, c.transfer_syntax[0]): c.context_id
            for c in association.accepted_contexts
        }
        for number, index in enumerate(batch):
            sop_class, sop_instance, syntax, raw = items[index]
            if not association.is_established:
                break
            request = C_STORE()
            request.MessageID = number % 65535 + 1
            request.AffectedSOPClassUID = sop_class
            request.AffectedSOPInstanceUID = sop_instance
            request.Priority = 2
            request.DataSet = io.BytesIO(raw)
            # Our own reactor must not read the answer in our place.
            association._reactor_checkpoint.clear()
            association.dimse.send_msg(request, accepted[sop_class, syntax])
            _, answer = association.dimse.get_msg(block=True)
            association._reactor_checkpoint.set()
            if answer is not None:
                statuses[index] = answer.Status
        if options.end == "vanish":
            print(json.dumps(statuses), flush=True)
            os._exit(0)
        if options.end == "abort":
            association.abort()
        elif association.is_established:
            association.release()
    print(json.dumps(statuses))


main()
