"""Reads AuditEvents from standard input, one a line, and has fhir.resources
(its R4B models, of which AuditEvent is that of R4) take each of them."""

import sys

try:
    from fhir.resources.R4B.auditevent import AuditEvent
except ImportError:
    sys.exit("the Python package fhir.resources is missing: run `make test-deps`")

count = 0
for line in sys.stdin:
    event = AuditEvent.model_validate_json(line)
    # Whatever the model does not know would be lost on the way back.
    back = AuditEvent.model_validate_json(event.model_dump_json())
    assert back == event
    count += 1
print(count)
