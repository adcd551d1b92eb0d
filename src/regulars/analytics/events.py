"""What is told to others about scores."""

from dataclasses import dataclass
from uuid import UUID

from regulars.formulas.rfm import RFMSegment
from regulars.kit.events import Event


@dataclass(frozen=True, kw_only=True)
class SegmentChanged(Event, kind="segment.changed"):
    """A customer who had a segment is in another one."""

    segment_before: RFMSegment
    segment: RFMSegment
    run_id: UUID
