"""What a build says of one table when it is done."""

from dataclasses import dataclass, field

from ticklake.lake.paths import Key


@dataclass
class Report:
    """What a build did to one table."""

    built: int = 0
    """Partitions whose new bytes were published."""
    confirmed: int = 0
    """Partitions that were computed again and have the bytes they had."""
    dropped: int = 0
    set_aside: int = 0
    """Raw segments that cannot be used and are in quarantine now."""
    unchanged: int = 0
    stale_outside: int = 0
    rows: int = 0
    failures: dict[Key, str] = field(default_factory=dict)
    """Units that could not be built, each with the reason."""

    def __str__(self) -> str:
        text = f"{self.built} built, {self.dropped} dropped, {self.unchanged} unchanged"
        if self.confirmed:
            text += f", {self.confirmed} recomputed to the same bytes"
        if self.set_aside:
            text += f", {self.set_aside} quarantined"
        if self.failures:
            text += f", {len(self.failures)} FAILED"
        if self.stale_outside:
            text += f", {self.stale_outside} stale outside the selection"
        return f"{text}, {self.rows:,} rows"
