"""Writes what pydicom (and, where it has no decoder, GDCM) makes of a DICOM file, for the Rust tests.

    judge.py corpus OUT [FILE…]  images of pydicom and pydicom-data: encoded frames and stored values
    judge.py constructed OUT     images that no corpus has, and their rendering by pydicom's own VOI code

OUT/manifest.json lists the cases. Values are little-endian int32, colour as RGB by pixel.
"""
import json, logging, subprocess, sys, warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

warnings.simplefilter("ignore")
logging.disable()

LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}


def values_of(path, out):
    """Stored values, and who decoded them."""
    try:
        return pixel_array(path), "pydicom"
    except Exception:
        raw = out / "raw.dcm"
        raw.unlink(missing_ok=True)
        subprocess.run(["gdcmconv", "--raw", path, str(raw)], capture_output=True)
        return pixel_array(raw), "gdcm"


def encoded_frames(ds):
    syntax = ds.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return [ds.PixelData]
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1) or 1)))


def corpus(out, names):
    for path in sorted(get_testdata_files("*.dcm")):
        if names and Path(path).name not in names:
            continue
        ds = pydicom.dcmread(path, force=True)
        if "PixelData" not in ds or "TransferSyntaxUID" not in getattr(ds, "file_meta", {}):
            continue
        try:
            values, judge = values_of(path, out)
            frames = encoded_frames(ds)
        except Exception:
            continue
        count = int(ds.get("NumberOfFrames", 1)) if str(ds.get("NumberOfFrames", 1)).isdigit() else 1
        if count > 3:
            # A few frames show all that a codec can do; the corpus has objects of 120.
            values, count = values[:3], 3
            frames = frames[:3] if ds.file_meta.TransferSyntaxUID.is_encapsulated else frames
        yield path, ds, values, judge, frames, count


def write_case(out, index, path, ds, values, judge, frames, count, **more):
    name = f"{index:03}"
    (out / f"{name}.values").write_bytes(values.astype("<i8").astype("<i4").tobytes())
    (out / f"{name}.frames").write_bytes(b"".join(frames))
    return {
        "path": str(path),
        "name": name,
        "judge": judge,
        "transfer_syntax": str(ds.file_meta.TransferSyntaxUID),
        "vr": ds["PixelData"].VR,
        "lossy": str(ds.file_meta.TransferSyntaxUID) in LOSSY,
        "frame_lengths": [len(frame) for frame in frames],
        "number_of_frames": count,
        **more,
    }


def image(pixels, stored=16, signed=0, **attributes):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
    ds.Modality = "OT"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit = stored, stored - 1
    ds.PixelRepresentation = signed
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def lut(first, entries, bits=16, signed=False):
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    return item


def constructed():
    """Name, data set, dcmj2pnm's options (None: it can't), is pydicom's VOI a judge?"""
    ramp = (np.arange(64 * 64) % 4096).astype("<u2").reshape(64, 64)
    signed = (np.arange(64 * 64) - 2048).astype("<i2").reshape(64, 64)
    window = {"WindowCenter": 1000, "WindowWidth": 700}
    hu = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    yield "linear", image(ramp, 12, **window), ["+Wi", "1"], True
    yield "linear_ct", image(ramp, 12, WindowCenter=40, WindowWidth=400, **hu), ["+Wi", "1"], True
    yield "linear_signed", image(signed, 16, 1, WindowCenter=-500, WindowWidth=1500), ["+Wi", "1"], True
    yield "linear_width_1", image(ramp, 12, WindowCenter=1000, WindowWidth=1), ["+Wi", "1"], True
    yield "slope", image(ramp, 12, RescaleSlope=2.5, RescaleIntercept=-7, **window), ["+Wi", "1"], True
    yield "slope_negative", image(ramp, 12, RescaleSlope=-1, RescaleIntercept=4095, **window), ["+Wi", "1"], True
    yield "second_window_when_first_is_0", image(ramp, 12, WindowCenter=[0, 1000], WindowWidth=[0, 700]), ["+Wi", "2"], False
    yield "linear_exact", image(ramp, 12, VOILUTFunction="LINEAR_EXACT", **window), None, True
    yield "sigmoid", image(ramp, 12, VOILUTFunction="SIGMOID", **window), ["+Wi", "1"], True
    yield "sigmoid_signed", image(signed, 16, 1, VOILUTFunction="SIGMOID", WindowCenter=-100, WindowWidth=300), ["+Wi", "1"], True
    yield "width_0", image(ramp, 12, WindowCenter=1000, WindowWidth=0), ["+Wm"], False
    yield "width_negative", image(ramp, 12, WindowCenter=1000, WindowWidth=-700), ["+Wm"], False
    yield "no_window", image(ramp, 12), ["+Wm"], False
    yield "monochrome1", image(ramp, 12, PhotometricInterpretation="MONOCHROME1", **window), ["+Wi", "1"], False
    yield "monochrome1_inverse", image(ramp, 12, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE", **window), ["+Wi", "1"], False
    yield "shape_inverse", image(ramp, 12, PresentationLUTShape="INVERSE", **window), ["+Wi", "1", "+Piv"], False
    curve = (65535 * np.sqrt(np.arange(4096) / 4095)).astype(int)
    yield "voi_lut", image(ramp, 12, VOILUTSequence=[lut(0, curve)]), ["+Wl", "1"], True
    yield "voi_lut_short", image(ramp, 12, VOILUTSequence=[lut(500, curve[:2000])]), None, True
    yield "voi_lut_12_bit", image(ramp, 12, VOILUTSequence=[lut(0, curve >> 4, 12)]), ["+Wl", "1"], True
    yield "voi_lut_after_rescale", image(ramp, 12, VOILUTSequence=[lut(-1024, curve, signed=True)], **hu), ["+Wl", "1"], True
    modality = image(ramp, 12, ModalityLUTSequence=[lut(0, curve >> 4)], **window)
    modality.ModalityLUTSequence[0].ModalityLUTType = "US"
    yield "modality_lut", modality, ["+Wi", "1"], True
    high = image((ramp << 4).astype("<u2"), 12, **window)
    high.HighBit = 15
    yield "high_bit_15", high, ["+Wi", "1"], False
    dirty = image((ramp | 0xA000).astype("<u2"), 12, **window)
    yield "bits_above_high_bit", dirty, ["+Wi", "1"], False
    padded = ramp.copy()
    padded[:8] = 4095
    yield "padding", image(np.where(padded == 4095, 4000, padded % 2000).astype("<u2"), 12, PixelPaddingValue=4000), None, False
    rgb = np.stack([np.arange(4096) % 256, np.arange(4096) // 16, 255 - np.arange(4096) // 16], -1).astype("u1").reshape(64, 64, 3)
    color = {"SamplesPerPixel": 3, "PlanarConfiguration": 0}
    yield "ybr_full", image(rgb, 8, **color, PhotometricInterpretation="YBR_FULL"), [], False
    planar = image(rgb, 8, **(color | {"PlanarConfiguration": 1}), PhotometricInterpretation="YBR_FULL")
    planar.PixelData = np.ascontiguousarray(rgb.transpose(2, 0, 1)).tobytes()
    yield "ybr_full_planar", planar, [], False
    index = (np.arange(64 * 64) % 256).astype("u1").reshape(64, 64)
    palette = image(index, 8, PhotometricInterpretation="PALETTE COLOR")
    for channel, entries in zip(("Red", "Green", "Blue"), (curve[::16], curve[::-16], np.arange(256) * 257)):
        setattr(palette, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(palette, f"{channel}PaletteColorLookupTableData", np.asarray(entries, "<u2").tobytes())
    yield "palette_16_bit", palette, [], False
    offset = image(index, 8, PhotometricInterpretation="PALETTE COLOR")
    for channel in ("Red", "Green", "Blue"):
        setattr(offset, f"{channel}PaletteColorLookupTableDescriptor", [100, 50, 8])
        setattr(offset, f"{channel}PaletteColorLookupTableData", bytes(range(100, 200)))
    yield "palette_8_bit_offset", offset, None, False
    segmented = image(index, 8, PhotometricInterpretation="PALETTE COLOR")
    for channel, end in zip(("Red", "Green", "Blue"), (65535, 32768, 4096)):
        setattr(segmented, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 16])
        words = [0, 1, 0, 1, 127, end, 1, 128, 0]
        setattr(segmented, f"Segmented{channel}PaletteColorLookupTableData", np.asarray(words, "<u2").tobytes())
    yield "palette_segmented", segmented, None, False


def rendered_by_pydicom(ds):
    grey = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(float)
    if "VOILUTSequence" in ds:
        return grey * 255 / (2 ** ds.VOILUTSequence[0].LUTDescriptor[2] - 1)
    # apply_windowing scales to the range that the modality transformation gives the stored bits.
    bits = ds.ModalityLUTSequence[0].LUTDescriptor[2] if "ModalityLUTSequence" in ds else ds.BitsStored
    low = -(2 ** (bits - 1)) if ds.PixelRepresentation else 0
    high = low + 2**bits - 1
    if "RescaleSlope" in ds:
        low, high = (value * ds.RescaleSlope + ds.RescaleIntercept for value in (low, high))
    return (grey - low) / (high - low) * 255


def rendered_palette(ds):
    from pydicom.pixels import apply_color_lut

    colors = apply_color_lut(ds.pixel_array, ds)
    return colors.astype(float) / (255 if colors.dtype.itemsize == 1 else 65535) * 255


def main():
    command, out = sys.argv[1], Path(sys.argv[2])
    manifest = []
    if command == "corpus":
        for index, (path, ds, values, judge, frames, count) in enumerate(corpus(out, sys.argv[3:])):
            manifest.append(write_case(out, index, path, ds, values, judge, frames, count))
    else:
        for index, (title, ds, dcmtk, voi) in enumerate(constructed()):
            path = out / f"{title}.dcm"
            ds.save_as(path, enforce_file_format=True)
            ds = pydicom.dcmread(path)
            case = write_case(out, index, path, ds, pixel_array(path), "pydicom", encoded_frames(ds), 1, dcmtk=dcmtk)
            rendered = None
            if voi:
                rendered = rendered_by_pydicom(ds)
            elif title.startswith("palette"):
                rendered = rendered_palette(ds)
            if rendered is not None:
                (out / f"{case['name']}.rendered").write_bytes(np.clip(np.rint(rendered), 0, 255).astype("u1").tobytes())
            manifest.append({**case, "rendered": rendered is not None})
    (out / "manifest.json").write_text(json.dumps(manifest))


main()
