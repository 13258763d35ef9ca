"""Prints pydicom's character set files and the names in them: one line of JSON."""

import json
import pathlib

import pydicom

directory = pathlib.Path(pydicom.__file__).parent / "data" / "charset_files"
found = []
for path in sorted(directory.glob("*.dcm")):
    name = pydicom.dcmread(path, force=True).get("PatientName")
    if name:
        found.append([str(path), str(name)])
print(json.dumps(found))
