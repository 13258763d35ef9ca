"""Holds corrected files against what they were made from: the corrections are
there, what they replaced stands in the Original Attributes Sequence, and the
rest reads the same."""
import pathlib
import sys
import warnings

import pydicom
from pydicom.valuerep import PersonName

warnings.simplefilter("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

FIRST = {"PatientID": "CORRECTED-1", "PatientName": "Doe^Jane"}
SECOND = {"PatientName": "Müller^Jürgen=山田^太郎", "StudyDescription": "Schädel"}
REMOVED = ["OtherPatientIDs", "RequestAttributesSequence"]


def same(a, b):
    """Equal as values; text by what it says, whatever its bytes."""
    if isinstance(a, PersonName):
        return str(a) == str(b)
    if isinstance(a, str):
        return a.strip() == str(b).strip()
    if isinstance(a, pydicom.Sequence):
        return len(a) == len(b) and all(same_set(x, y) for x, y in zip(a, b))
    if isinstance(a, pydicom.multival.MultiValue):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if a != b and str(a) == "nan":
        return str(b) == "nan"
    return (a or None) == (b or None)


def same_set(a, b):
    left = [e.tag for e in a if e.tag.element and e.tag != 0x00080005]
    right = [e.tag for e in b if e.tag.element and e.tag != 0x00080005]
    return left == right and all(same(a[t].value, b[t].value) for t in left)


def value(dataset, name):
    return dataset[name].value if name in dataset else None


faults, checked = [], 0
for folder, steps in (("1", [FIRST]), ("2", [FIRST, SECOND])):
    for path in sorted((pathlib.Path(sys.argv[1]) / folder).glob("*.dcm")):
        name = path.with_suffix(".from").read_text()
        before, after = pydicom.dcmread(name, force=True), pydicom.dcmread(path, force=True)
        changed = {}
        for step in steps:
            changed.update(step)
        for key, wanted in changed.items():
            if str(value(after, key)) != wanted:
                faults.append(f"{name} {key}: {value(after, key)}")
        faults += [f"{name} {key} is there" for key in REMOVED if key in after]
        touched = set(changed) | set(REMOVED) | {"OriginalAttributesSequence"}
        for element in before:
            if element.keyword in touched or not element.tag.element or element.tag in (0x00080005, 0x00080001):
                continue
            if element.tag not in after or not same(element.value, after[element.tag].value):
                faults.append(f"{name} {element.tag} {element.keyword} differs")
        extra = [e for e in after if e.tag not in before and e.keyword not in touched]
        faults += [f"{name} {e.tag} is new" for e in extra if e.tag != 0x00080005]
        tags = [e.tag for e in after]
        if tags != sorted(tags):
            faults.append(f"{name} is not in order")
        ours = list(after.OriginalAttributesSequence)[len(before.get("OriginalAttributesSequence", [])):]
        current = {key: value(before, key) for key in touched}
        for step, item in zip([s for s in steps], ours):
            (previous,) = item.ModifiedAttributesSequence
            for element in previous:
                if not same(current[element.keyword], element.value):
                    faults.append(f"{name} previous {element.keyword} differs")
            if item.ReasonForTheAttributeModification != "CORRECT" or item.ModifyingSystem != "HILUM":
                faults.append(f"{name}: who and why")
            current.update(step)
            for key in REMOVED:
                current[key] = None
        if len(ours) != len(steps):
            faults.append(f"{name}: {len(ours)} items")
        checked += 1
print("\n".join(faults))
print(checked, "files")
sys.exit(1 if faults or checked < 200 else 0)
