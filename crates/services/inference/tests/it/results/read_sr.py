"""Reads a measurement report with highdicom: read_sr.py SR. Prints one line of JSON."""

import json
import sys

import highdicom as hd

sr = hd.sr.srread(sys.argv[1])
assert isinstance(sr, hd.sr.Comprehensive3DSR)
groups = sr.content.get_volumetric_roi_measurement_groups()
observer = sr.content.get_observer_contexts()[0]
print(json.dumps({
    "patient": str(sr.PatientName),
    "description": sr.SeriesDescription,
    "verification": sr.VerificationFlag,
    "device": observer.observer_identifying_attributes.name,
    "predecessors": [
        item.ReferencedSOPInstanceUID
        for study in sr.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ],
    "groups": [
        {
            "tracking_id": group.tracking_identifier,
            "tracking_uid": str(group.tracking_uid),
            "finding": group.finding_type.meaning,
            "category": group.finding_category.meaning,
            "site": [site.value.meaning for site in group.finding_sites],
            "segment": int(group.referenced_segment[0].referenced_segment_numbers[0]),
            "segmentation": str(group.referenced_segment[0].referenced_sop_instance_uid),
            "source_series": str(group.referenced_segment[1].value),
            "measurements": [
                {
                    "name": m.name.value,
                    "value": float(m.value),
                    "unit": m.unit.value,
                    "method": m.method.meaning if m.method else None,
                }
                for m in group.get_measurements()
            ],
            "comments": [
                str(item.TextValue)
                for item in group[0].ContentSequence
                if item.ValueType == "TEXT"
                and item.ConceptNameCodeSequence[0].CodeValue == "121106"
            ],
        }
        for group in groups
    ],
}, ensure_ascii=True))
