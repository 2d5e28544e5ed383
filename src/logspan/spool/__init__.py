"""An on-disk queue for batches that cannot be sent now: survives `kill -9`, torn writes, flipped bits, full disks.

`Spool` is the queue of one exporter in one process; `survey` lists what lies in a directory without touching it.
"""

from logspan.spool.adoption import discard
from logspan.spool.decoding import decode_logs_request
from logspan.spool.files import why_unusable
from logspan.spool.results import Adopted, Backlog, Frame, Loss, NotStored, SpoolConfig, Stored
from logspan.spool.spool import Spool
from logspan.spool.status import OwnerStatus, survey

__all__ = [
    "Adopted",
    "Backlog",
    "Frame",
    "Loss",
    "NotStored",
    "OwnerStatus",
    "Spool",
    "SpoolConfig",
    "Stored",
    "decode_logs_request",
    "discard",
    "survey",
    "why_unusable",
]
