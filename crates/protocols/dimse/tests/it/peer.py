"""pynetdicom as a peer. Speaks in lines of `key value`."""
import sys
import time

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian,
    ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless,
)
from pynetdicom import AE, build_role, evt, register_uid, sop_class
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation, SOPClassExtendedNegotiation, UserIdentityNegotiation,
)
from pynetdicom.service_class import StorageServiceClass

MR = "1.2.840.10008.5.1.4.1.1.4"
PRIVATE = "1.2.826.0.1.3680043.9.7777.1.1"
TOMORROW = "1.2.840.10008.5.1.4.1.1.9999.7"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def instance(sop_class_uid, uid, syntax=ExplicitVRLittleEndian, pixels=1000):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, uid
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "NOBODY", "1.2.3", "1.2.3.4"
    ds.add_new(0x00091001, "OB", b"\1" * pixels)
    return ds


def send(port):
    """Everything that a requester may negotiate, at once."""
    ae = AE("PYNETDICOM")
    ae.maximum_pdu_size = 0
    for uid in (MR, PRIVATE, TOMORROW, "1.2.840.10008.1.1"):
        ae.add_requested_context(uid, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
    ae.add_requested_context(MR, [ExplicitVRBigEndian, ImplicitVRLittleEndian])
    ae.add_requested_context(MR, [JPEG2000Lossless, ExplicitVRLittleEndian])
    ae.add_requested_context(MR, DeflatedExplicitVRLittleEndian)
    ae.add_requested_context(MR, RLELossless)
    ae.add_requested_context(MR, "1.2.840.113619.5.2")
    ae.add_requested_context(FIND, ImplicitVRLittleEndian)
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 2, b"user"
    identity.secondary_field, identity.positive_response_requested = b"secret", True
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 8
    window.maximum_number_operations_performed = 8
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = MR
    extended.service_class_application_information = b"\2\0\3\0\1\0"
    items = [identity, window, extended, build_role(MR, scu_role=True, scp_role=True),
             build_role(PRIVATE, scp_role=True)]
    association = ae.associate("127.0.0.1", port, ae_title="HILUM", ext_neg=items)
    print("established", association.is_established)
    for context in association.accepted_contexts:
        print("accepted", context.abstract_syntax, context.transfer_syntax[0],
              context.as_scu, context.as_scp)
    for context in association.rejected_contexts:
        print("rejected", context.abstract_syntax, context.result)
    print("implementation", association.acceptor.implementation_version_name.strip())
    print("echo", f"{association.send_c_echo().Status:04X}")
    sent = [(MR, ExplicitVRLittleEndian), (PRIVATE, ExplicitVRLittleEndian),
            (TOMORROW, ExplicitVRLittleEndian), (MR, ExplicitVRBigEndian),
            (MR, DeflatedExplicitVRLittleEndian)]
    for number, (uid, syntax) in enumerate(sent):
        status = association.send_c_store(
            instance(uid, f"1.2.3.{number}", syntax, 300_000), originator_aet="MOVER",
            originator_id=77)
        print("stored", f"{status.Status:04X}", status.get("ErrorComment", ""))
    association.release()


def answers_reach_who_asked(association):
    """pynetdicom pauses a thread of its own while it waits for an answer, and on a busy machine that thread may take
    the answer all the same: what it takes is put back."""
    provider = association.dimse
    take = provider.get_msg

    def get_msg(block=False):
        context, message = take(block)
        if not block and getattr(message, "MessageIDBeingRespondedTo", None) is not None:
            provider.msg_queue.put((context, message))
            return None, None
        return context, message

    provider.get_msg = get_msg


def many(port, count):
    """Associations at one time in one process, and one that aborts."""
    ae = AE("MANY")
    ae.add_requested_context(MR, ExplicitVRLittleEndian)
    open_ones = [ae.associate("127.0.0.1", port) for _ in range(count)]
    for association in open_ones:
        answers_reach_who_asked(association)
    for number, association in enumerate(open_ones):
        for repeat in range(3):
            status = association.send_c_store(instance(MR, f"1.2.3.{number}.{repeat}"))
            assert status.Status == 0, status
    open_ones[0].abort()
    for association in open_ones[1:]:
        association.release()
    print("done", count)


def receive():
    """An acceptor whose answer hangs on the last component of the UID."""
    def on_store(event):
        uid = event.request.AffectedSOPInstanceUID
        print("received", uid, len(event.request.DataSet.getvalue()), flush=True)
        answer = Dataset()
        answer.Status = int(uid.rsplit(".", 1)[1])
        answer.ErrorComment = "the answer that was asked for"
        return answer

    register_uid(PRIVATE, "PrivateStorage", StorageServiceClass)
    ae = AE("PYSCP")
    ae.maximum_pdu_size = 0
    ae.add_supported_context(MR, ExplicitVRLittleEndian)
    ae.add_supported_context(PRIVATE, [RLELossless])
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
    print("port", server.server_address[1], flush=True)
    time.sleep(60)


def classes():
    for name, group in vars(sop_class).items():
        if name.startswith("_") and name.endswith("_CLASSES") and name != "_SERVICE_CLASSES":
            storage = name == "_STORAGE_CLASSES" or name == "_NON_PATIENT_OBJECT_CLASSES"
            for uid in group.values():
                print("storage" if storage else "other", uid)


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
