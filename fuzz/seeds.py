"""Writes the first seeds of fuzz/corpus: PDUs and command sets as pynetdicom builds them, small
files of pydicom's test set (both MIT), and DICOMweb requests of the standard's own examples."""

import glob
import io
import os
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import build_context, build_role
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

CORPUS = Path(__file__).parent / "corpus"
LARGEST = 4096
CT = "1.2.840.10008.5.1.4.1.1.2"


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    if len(data) <= LARGEST:
        (folder / name).write_bytes(data)


def association(contexts, items, accept=False):
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = "SCANNER"
    primitive.called_ae_title = "HILUM"
    length = MaximumLengthNotification()
    length.maximum_length_received = 16382
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = "1.2.826.0.1.3680043.9.3811.3.0.4"
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "PYNETDICOM_304"
    primitive.user_information = [length, class_uid, version, *items]
    if accept:
        primitive.result = 0
        for context in contexts:
            context.result = 0
        primitive.presentation_context_definition_results_list = contexts
        pdu = A_ASSOCIATE_AC()
    else:
        primitive.presentation_context_definition_list = contexts
        pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()[6:]


def numbered(*contexts):
    for index, context in enumerate(contexts):
        context.context_id = 2 * index + 1
    return list(contexts)


def associations():
    storage = lambda: build_context(CT, [JPEG2000Lossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    echo = lambda: build_context("1.2.840.10008.1.1")
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CT
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
    user = UserIdentityNegotiation()
    user.user_identity_type = 2
    user.primary_field = b"user"
    user.secondary_field = b"word"
    write("associate", "rq-echo", association(numbered(echo()), []))
    write("associate", "rq-store", association(numbered(echo(), storage()), [build_role(CT, scu_role=True)]))
    write("associate", "rq-everything", association(numbered(storage()), [window, extended, user, build_role(CT, True, True)]))
    write("associate", "rq-128", association(numbered(*(build_context(f"1.2.3.{i}") for i in range(60))), []))
    one = build_context(CT, [ExplicitVRLittleEndian])
    write("associate", "ac", association(numbered(echo(), one), [], accept=True))


def messages():
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID = CT
    request.AffectedSOPInstanceUID = "1.2.3.4.5"
    request.Priority = 2
    request.MoveOriginatorApplicationEntityTitle = "ELSEWHERE"
    request.MoveOriginatorMessageID = 3
    request.DataSet = io.BytesIO(b"\x08\x00\x16\x00UI\x04\x001.2\0")
    echo = C_ECHO()
    echo.MessageID = 1
    echo.AffectedSOPClassUID = "1.2.840.10008.1.1"
    response = C_STORE()
    response.MessageIDBeingRespondedTo = 7
    response.AffectedSOPClassUID = CT
    response.AffectedSOPInstanceUID = "1.2.3.4.5"
    response.Status = 0xA700
    response.ErrorComment = "out of resources"
    for name, primitive, message in [
        ("c-store-rq", request, C_STORE_RQ()),
        ("c-store-rsp", response, C_STORE_RSP()),
        ("c-echo-rq", echo, C_ECHO_RQ()),
    ]:
        message.primitive_to_message(primitive)
        command = b""
        for index, data in enumerate(message.encode_msg(1, 128)):
            pdu = P_DATA_TF()
            pdu.from_primitive(data)
            write("pdata", f"{name}-{index}", pdu.encode()[6:])
            for _, value in data.presentation_data_value_list:
                if value[0] & 1:
                    command += value[1:]
        write("command", name, command)


def files():
    folder = os.path.join(os.path.dirname(pydicom.__file__), "data")
    paths = glob.glob(folder + "/**/*", recursive=True)
    for path in sorted(path for path in paths if os.path.isfile(path) and not path.endswith((".py", ".pyc", ".json"))):
        name = os.path.basename(path)
        data = Path(path).read_bytes()
        if len(data) > LARGEST:
            data = shrunk(path)
        if data is None or len(data) > LARGEST:
            continue
        write("part10", name, data)
        try:
            read = pydicom.dcmread(io.BytesIO(data), force=True)
            syntax = read.file_meta.TransferSyntaxUID
        except Exception:
            continue
        first = {"1.2.840.10008.1.2": 0, "1.2.840.10008.1.2.2": 2, "1.2.840.10008.1.2.1.99": 3}.get(syntax, 1)
        start = 144 + read.file_meta.get("FileMetaInformationGroupLength", 0)
        if data[128:132] == b"DICM":
            write("data_set", name, bytes([first]) + data[start:])


def shrunk(path):
    """The same file with its pixels cut to four bytes, where pydicom can read it."""
    try:
        read = pydicom.dcmread(path, force=True)
        for tag in [0x7FE00010, 0x7FE00008, 0x7FE00009]:
            if tag in read:
                if getattr(read.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian).is_encapsulated:
                    return None
                read[tag].value = read[tag].value[:4]
        out = io.BytesIO()
        pydicom.dcmwrite(out, read, enforce_file_format=False)
        return out.getvalue()
    except Exception:
        return None


def encapsulated():
    """Encapsulated pixel data with basic and extended offset tables, and a private sequence."""
    read = Dataset()
    read.SOPClassUID, read.SOPInstanceUID = CT, "1.2.3.4.5"
    read.StudyInstanceUID, read.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    read.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    read.PatientName = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"
    read.NumberOfFrames, read.Rows, read.Columns = 2, 2, 2
    read.BitsAllocated, read.SamplesPerPixel = 8, 1
    item = Dataset()
    item.Manufacturer = "x"
    read.add_new(0x00091010, "LO", "y")
    read.add_new(0x00400275, "SQ", [item, Dataset()])
    read["RequestAttributesSequence"].is_undefined_length = True
    for name, tables in [("offsets", False), ("extended", True)]:
        fragments = [b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xfe\x00\x02\xff\xd9"]
        if tables:
            data, offsets, lengths = pydicom.encaps.encapsulate_extended(fragments)
            read.ExtendedOffsetTable, read.ExtendedOffsetTableLengths = offsets, lengths
        else:
            data = pydicom.encaps.encapsulate(fragments)
        read.PixelData = data
        read["PixelData"].VR = "OB"
        read["PixelData"].is_undefined_length = True
        read.file_meta = pydicom.dataset.FileMetaDataset()
        read.file_meta.TransferSyntaxUID = JPEG2000Lossless
        out = io.BytesIO()
        read.save_as(out, enforce_file_format=True)
        write("part10", f"encapsulated-{name}", out.getvalue())
        start = 144 + pydicom.dcmread(io.BytesIO(out.getvalue())).file_meta.FileMetaInformationGroupLength
        write("data_set", f"encapsulated-{name}", b"\x04" + out.getvalue()[start:])


def web():
    related = 'multipart/related; type="application/dicom"; boundary='
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\nContent-Length: 2\r\n\r\nxy\r\n--b--\r\n"
    write("multipart", "two-parts", b"\x10" + related.encode() + b"b\n" + body)
    write("multipart", "quoted", b"\x00" + related.encode() + b'"a b:c"\n--a b:c\r\n\r\n\r\n--a b:c--')
    write("multipart", "preamble", b"\xff" + related.encode() + b"b\npre\r\n" + body)
    for index, text in enumerate([
        "PatientName=SMITH*&StudyDate=20200101-20201231&limit=10&offset=20",
        "00100020=11235813&includefield=00081048,00081049&includefield=all",
        "StudyInstanceUID=1.2.3,1.2.4\\1.2.5&ModalitiesInStudy=CT&fuzzymatching=true",
        "00101002.00100020=11235813&StudyTime=0900-&emptyvaluematching=true&AccessionNumber=%22%22",
        "match=PatientID%3D7&multiplevaluematching=true&SeriesNumber=3&InstanceNumber=4",
    ]):
        for level in range(3):
            write("query", f"{index}-{level}", bytes([level]) + text.encode())
    for index, text in enumerate([
        "*/*",
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        'multipart/related; type="image/jls"; q=0.7, multipart/related; type=image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50;q=0.3',
        "application/dicom+json;q=0.9, application/json\naccept=application/dicom%2Bjson",
        "image/png, image/jpeg;q=0.5\naccept=image/jpeg&quality=50",
        'application/dicom; transfer-syntax="1.2.840.10008.1.2.4.90", multipart/*',
    ]):
        write("accept", str(index), text.encode())
    for index, text in enumerate([
        "window=40,400,linear&viewport=256,256,0,0,100,100&quality=80\n1,2,3",
        "viewport=64,64,,,-10,-10&iccprofile=no&accept=image%2Fpng\n1%2C4294967295",
        "annotation=patient,technique\n0",
    ]):
        write("rendered", str(index), text.encode())


if __name__ == "__main__":
    associations()
    messages()
    files()
    encapsulated()
    web()
