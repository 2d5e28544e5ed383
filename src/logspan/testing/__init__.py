"""What users and authors of plug-ins test with: no patching, no sleeping.

- `InMemoryExporter` keeps what it is given, and answers by a script.
- `FakeClock` is time that a test moves by hand.
- `OtlpSink` is an OTLP receiver over HTTP on loopback, which decodes what arrives and answers by a script;
  `OtlpGrpcSink` is one over gRPC.
- `assert_balanced` waits until a pipeline is idle and shows which term of its ledger is off, if one is.
- `check_exporter_contract` tells whether an exporter keeps the rules that a pipeline relies on, and `check_enricher`
  whether an enricher does; `SampleRequest` is a request for those that look at one.
"""

from logspan.testing.balance import assert_balanced
from logspan.testing.contract import check_exporter_contract
from logspan.testing.enricher_contract import SampleRequest, check_enricher
from logspan.testing.fake_clock import FakeClock
from logspan.testing.grpc_sink import GrpcReply, GrpcRequest, OtlpGrpcSink
from logspan.testing.memory import InMemoryExporter
from logspan.testing.rules import ContractError
from logspan.testing.sink import OtlpSink, ReceivedRecord, ReceivedSpan, Reply, Request

__all__ = [
    "ContractError",
    "FakeClock",
    "GrpcReply",
    "GrpcRequest",
    "InMemoryExporter",
    "OtlpGrpcSink",
    "OtlpSink",
    "ReceivedRecord",
    "ReceivedSpan",
    "Reply",
    "Request",
    "SampleRequest",
    "assert_balanced",
    "check_enricher",
    "check_exporter_contract",
]
