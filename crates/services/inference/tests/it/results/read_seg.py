"""Reads a Segmentation with highdicom: read_seg.py SEG MASK_OUT [FRAME...]

Writes the mask as bytes [segment, slice, row, column], in the order of the source instances or,
for a source of several frames, of the frames given; prints what the object says as one line of JSON."""

import json
import sys

import highdicom as hd
import numpy as np

seg_path, mask_path, *frames = sys.argv[1:]
seg = hd.seg.segread(seg_path)
referenced = [
    item.ReferencedSOPInstanceUID
    for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
]
numbers = list(seg.segment_numbers)
common = dict(
    segment_numbers=numbers, combine_segments=False, assert_missing_frames_are_empty=True
)
if frames:
    pixels = seg.get_pixels_by_source_frame(referenced[0], [int(f) for f in frames], **common)
else:
    pixels = seg.get_pixels_by_source_instance(referenced, **common)
np.moveaxis(pixels, -1, 0).astype(np.uint8).tofile(mask_path)
try:
    volume = seg.get_volume(combine_segments=False)
    geometry = {
        "shape": list(volume.spatial_shape),
        "spacing": list(volume.spacing),
        "voxels": int(volume.array.sum()),
    }
except (RuntimeError, ValueError) as error:
    geometry = {"error": str(error)}
print(json.dumps({
    "patient": str(seg.PatientName),
    "frames": int(seg.NumberOfFrames),
    "segments": [
        {
            "label": d.segment_label,
            "type": d.segmented_property_type.meaning,
            "algorithm": str(d.algorithm_type.value),
            "tracking_uid": str(d.tracking_uid),
        }
        for d in (seg.get_segment_description(n) for n in numbers)
    ],
    "positions": [
        [str(v) for v in frame.PlanePositionSequence[0].ImagePositionPatient]
        for frame in seg.PerFrameFunctionalGroupsSequence
    ],
    "volume": geometry,
}))
