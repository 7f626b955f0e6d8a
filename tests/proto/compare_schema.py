#!/usr/bin/env python3
"""Holds proto/*.proto against the .proto files that the installed onnx package ships, field by field, both ways.

usage: compare_schema.py PROTOC FOLDER      (FOLDER holds onnx.proto and onnx-data.proto)
"""

import pathlib
import subprocess
import sys
import tempfile

import onnx
from google.protobuf import descriptor_pb2


def compile_schema(protoc, include, names):
    """Returns the FileDescriptorProtos of the named files, merged into one list of facts."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "set.pb"
        subprocess.run(
            [protoc, f"-I{include}", f"--descriptor_set_out={out}", *names], check=True
        )
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    facts = {}
    for file in files:
        facts["package"] = file.package
        facts["syntax"] = file.syntax or "proto2"
        for enum in file.enum_type:
            add_enum(facts, enum, file.package)
        for message in file.message_type:
            add_message(facts, message, file.package)
    return facts


def add_enum(facts, enum, scope):
    facts[f"enum {scope}.{enum.name}"] = "present"
    for value in enum.value:
        facts[f"value {scope}.{enum.name}.{value.name}"] = value.number


def add_message(facts, message, scope):
    name = f"{scope}.{message.name}"
    facts[f"message {name}"] = "present"
    for field in message.field:
        oneof = (
            message.oneof_decl[field.oneof_index].name
            if field.HasField("oneof_index")
            else None
        )
        facts[f"field {name}.{field.name}"] = (
            field.number,
            descriptor_pb2.FieldDescriptorProto.Type.Name(field.type),
            descriptor_pb2.FieldDescriptorProto.Label.Name(field.label),
            field.type_name,
            oneof,
            field.default_value,
            field.options.packed,
        )
    for entry in message.reserved_range:
        facts[f"reserved {name} {entry.start}..{entry.end}"] = "present"
    for entry in message.reserved_name:
        facts[f"reserved {name} {entry}"] = "present"
    for enum in message.enum_type:
        add_enum(facts, enum, name)
    for nested in message.nested_type:
        add_message(facts, nested, name)


def main():
    protoc, ours_folder = sys.argv[1:]
    package = pathlib.Path(onnx.__file__).parent
    ours = compile_schema(protoc, ours_folder, ["onnx.proto", "onnx-data.proto"])
    official = compile_schema(
        protoc, package.parent, ["onnx/onnx-ml.proto", "onnx/onnx-data.proto"]
    )
    bad = 0
    for fact in sorted(ours.keys() | official.keys()):
        if ours.get(fact) != official.get(fact):
            bad += 1
            print(f"{fact}: ours {ours.get(fact)}, official {official.get(fact)}")
    fields = sum(fact.startswith("field ") for fact in official)
    print(f"onnx {onnx.__version__}: {len(official)} facts, {fields} fields, {bad} differences")
    # An empty official schema would agree with an empty one of ours.
    return 1 if bad or fields < 150 else 0


if __name__ == "__main__":
    sys.exit(main())
