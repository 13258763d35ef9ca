"""Prints pydicom's own reading of its test files: one JSON line each, with the
path, `Dataset.to_json_dict` and whether pydicom thinks it can be filed."""
import json
import os
import sys
import warnings

import pydicom
from pydicom.data import get_charset_files, get_testdata_files

warnings.simplefilter("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def model(dataset):
    elements = {}
    for element in dataset:
        key = "%08X" % element.tag
        try:
            elements[key] = element.to_json_dict(lambda _: "bulk", 1024)
        except Exception:
            elements[key] = None
            continue
        if element.VR == "SQ":
            elements[key] = {"vr": "SQ", "Value": [model(item) for item in element.value]}
    return elements


for path in sorted(set(get_testdata_files() + get_charset_files())):
    if not os.path.isfile(path) or path.endswith((".zip", ".gz")):
        continue
    line = {"path": path, "json": None}
    try:
        dataset = pydicom.dcmread(path)
        line["json"] = model(dataset)
    except Exception as error:
        line["error"] = type(error).__name__
    print(json.dumps(line), file=sys.stdout)
