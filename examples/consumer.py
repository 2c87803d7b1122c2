"""A Lambda consumer in Python, of a stream with FORMAT=json and any AGGREGATION. It needs the standard library only."""

import base64
import gzip
import hashlib
import json

MAGIC = bytes.fromhex("f3899ac2")


def fields(message):
    """The fields of a protobuf message, in order: (number, value)."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            if value > len(message) - at:
                raise ValueError("the aggregate ends within a field")
            value, at = message[at : at + value], at + value
        elif tag & 7 != 0:
            raise ValueError("the aggregate has a field that its format does not have")
        yield tag >> 3, value


def decompressed(data):
    """Undoes COMPRESSION: a record that is compressed begins with a magic number, with which no line begins."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        from compression import zstd  # Python 3.14; before that: the package zstandard

        return zstd.decompress(data)
    return data


def user_records(data):
    """The user records of a Kinesis record: 4 bytes of magic, AggregatedRecord, 16 bytes of MD5; or the record itself."""
    body = data[4:-16]
    if data[:4] != MAGIC or hashlib.md5(body).digest() != data[-16:]:
        return [decompressed(data)]
    # 1: partition keys, 2: explicit hash keys, 3: records, which have their data in field 3.
    records = [dict(fields(value)) for number, value in fields(body) if number == 3]
    return [record.get(3, b"") for record in records]


def changes(event):
    """All changes of a Lambda event, in order. The data is base64 there; GetRecords gives bytes."""
    for record in event["Records"]:
        for user in user_records(base64.b64decode(record["kinesis"]["data"])):
            # With AGGREGATION=lines a record holds a change a line. JSON has line breaks between changes only.
            for line in user.split(b"\n"):
                if line:
                    change = json.loads(line)
                    # With MARKS=on the stream holds marks, with MESSAGES messages. They are no changes of rows.
                    if change["op"] not in ("MARK", "MESSAGE"):
                        yield change


def lsn(text):
    """An LSN as a number: as texts, "0/9" would come after "0/10"."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def consumer(has, apply):
    """A handler. `has(identity)` tells whether a change was applied; `apply(change, identity)` writes both at once."""

    def handler(event, context):
        for change in changes(event):
            identity = (change["source"], change["id"])
            if not has(identity):
                apply(change, identity)

    return handler
