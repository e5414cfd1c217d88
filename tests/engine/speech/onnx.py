"""A network in ONNX with YuNet's inputs and outputs: it takes a white cell of 8 x 8 pixels for a face.

Written in protobuf's wire format, tag by tag (onnx.proto: field numbers in comments where they are used).
"""

from __future__ import annotations

import struct

POINTS = ((-6.0, -4.0), (6.0, -4.0), (0.5, 0.5), (-4.0, 5.0), (4.0, 5.0))
"""Eyes, nose and corners of the mouth, in cells from the corner of the white one."""


def network():
    """The file's bytes."""
    nodes, outputs, weights = [], [], []
    for stride in (8, 16, 32):
        for name, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            bright = stride == 8 and channels == 1
            bias = [value for point in POINTS for value in point] if channels == 10 else [0.0] * channels
            if channels == 4:
                bias = [0.5, 0.5, 2.5, 2.5]
            part = f"{name}_{stride}"
            weight = [1 / 255 if bright else 0.0, 0.0, 0.0] * channels
            weights += [
                _tensor(f"{part}_w", (channels, 3, 1, 1), weight),
                _tensor(f"{part}_b", (channels,), bias),
            ]
            kernel = [("kernel_shape", (stride, stride)), ("strides", (stride, stride))]
            nodes += [
                _node("AveragePool", ["input"], f"{part}_p", kernel),
                _node(
                    "Conv", [f"{part}_p", f"{part}_w", f"{part}_b"], f"{part}_c", [("kernel_shape", (1, 1))]
                ),
                _node("Reshape", [f"{part}_c", f"{part}_s"], f"{part}_r", []),
                _node("Transpose", [f"{part}_r"], part, [("perm", (0, 2, 1))]),
            ]
            weights.append(_numbers(f"{part}_s", (1, channels, -1)))
            outputs.append(_value(part, (1, -1, channels)))
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"faces")
    graph += b"".join(_field(5, weight) for weight in weights)
    graph += _field(11, _value("input", (1, 3, 640, 640)))
    graph += b"".join(_field(12, output) for output in outputs)
    opset = _field(8, _field(1, b"") + _number(2, 11))
    return _number(1, 7) + _field(7, graph) + opset  # ModelProto: ir_version, graph, opset_import


def _node(kind, inputs, output, attributes):
    """NodeProto: input, output, op_type, attribute."""
    found = b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode())
    found += _field(4, kind.encode())
    for name, values in attributes:  # AttributeProto: name, ints, type INTS
        found += _field(
            5, _field(1, name.encode()) + b"".join(_number(8, v) for v in values) + _number(20, 7)
        )
    return found


def _tensor(name, shape, values):
    """TensorProto: dims, data_type FLOAT, name, raw_data."""
    dims = b"".join(_number(1, size) for size in shape)
    return (
        dims + _number(2, 1) + _field(8, name.encode()) + _field(9, struct.pack(f"<{len(values)}f", *values))
    )


def _numbers(name, values):
    """TensorProto of INT64."""
    raw = struct.pack(f"<{len(values)}q", *values)
    return _number(1, len(values)) + _number(2, 7) + _field(8, name.encode()) + _field(9, raw)


def _value(name, shape):
    """ValueInfoProto: name, type (tensor_type: elem_type FLOAT, shape: dim: dim_value)."""
    dims = b"".join(_field(1, _number(1, size) if size > 0 else _field(2, b"n")) for size in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, 1) + _field(2, dims)))


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number, value):
    return _varint(number << 3) + _varint(value)


def _varint(value):
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
