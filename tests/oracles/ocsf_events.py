"""Validates OCSF events, a list of lines on stdin, against the schema of the version and class that each names.

Stdout: {"events": how many, "classes": {class_uid: how many}}. Fails at the first event that is not valid.
"""

import json
import sys
from collections import Counter

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schemas, validators, classes = {}, {}, Counter()


def validator(version, class_uid):
    if version not in schemas:
        schemas[version] = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    schema = schemas[version]
    name = schema.lookup_class_name_from_uid(class_uid=class_uid)
    return Draft202012Validator(schema.get_class_schema(class_name=name, profiles=[]))


def check(event):
    key = event["metadata"]["version"], event["class_uid"]
    if key not in validators:
        validators[key] = validator(*key)
    errors = [f"{error.json_path}: {error.message[:200]}" for error in validators[key].iter_errors(event)]
    assert not errors, f"{event['metadata']['event_code']}: {errors}"
    # What the generated schemas leave open.
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000
    assert (event["activity_id"] == 99) == ("activity_name" in event)


for line in json.load(sys.stdin):
    event = json.loads(line)
    check(event)
    classes[event["class_uid"]] += 1
json.dump({"events": classes.total(), "classes": classes}, sys.stdout)
