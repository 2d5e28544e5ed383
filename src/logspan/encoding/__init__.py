"""The seam between records and bytes: one function each for the two encodings of OTLP.

`encode_logs_request` makes protobuf, `encode_logs_json` lines of OTLP/JSON
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). Neither raises: a record of which no bytes can be
made is left out, its neighbours are not, and the result says how many were left out. Text that is not valid Unicode
(lone surrogates) gets U+FFFD, integers beyond 64 bits become text, what is no OTLP value becomes its `str()`.
"""

from logspan.encoding.groups import Encoded, EncodedLines, Rename
from logspan.encoding.otlp_json import encode_logs_json
from logspan.encoding.protobuf import encode_logs_request

__all__ = ["Encoded", "EncodedLines", "Rename", "encode_logs_json", "encode_logs_request"]
