"""A slice under work: where it stands, and the check that the log is still the one it was folded from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import structlog

from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.schemas.envelope import header
from eventfold.schemas.errors import BeginningGoneError, OtherLogError
from eventfold.schemas.record import Place, Record
from eventfold.store.commits import Commit
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId

log = structlog.get_logger("slices")


class OpenSlice:
    """One slice that this process folds.

    Reading starts at the last event that was folded, not behind it, so that the first record proves that the log is
    the same: it must be that very event.
    """

    __slots__ = ("_unproven", "id", "progress", "stamps", "start")

    def __init__(self, slice_: SliceId, progress: Progress, log_start: int = 0) -> None:
        self.id = slice_
        self.progress = progress
        self.stamps: tuple[str, ...] = (progress.stamp,)
        """The stamps that the stored slice may have: that of the last write, and that of the write before it, which is what is
        stored while the last one is still under way."""
        last = progress.last_offset
        self._unproven = last is not None and last >= log_start
        self.start = max(log_start, progress.offset if last is None else last)
        """The offset to read from."""

    def unread(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records that are not folded yet; OtherLogError when the log is not the one folded so far."""
        if self._unproven and records:
            self._prove(records[0])
        offset = self.progress.offset
        if records and records[0].offset() >= offset:
            return records
        return [record for record in records if record.offset() >= offset]

    def after(self, records: Sequence[Record], end: int | None) -> Progress:
        """The progress once these records are folded; `end` moves it past transaction markers behind them.

        OtherLogError when the end comes before the event that proves the log.
        """
        if self._unproven and not records and end is not None and end > self.start:
            raise OtherLogError(
                f"{self.id.topic}/{self.id.partition}: the log is not the one that was folded: event "
                f"{self.progress.last_id or '?'} at offset {self.progress.last_offset} is gone"
            )
        progress = self.progress
        if records:
            last = records[-1]
            progress = replace(progress, offset=last.offset() + 1, last_offset=last.offset(), last_id=event_id(last))
        if end is not None and end > progress.offset:
            progress = replace(progress, offset=end)
        return progress

    def delivered(self, offset: int, id_: str) -> Progress:
        """The progress once the event that this process wrote to `offset` is counted.

        OtherLogError when that lies before what is counted already: the topic is not the one that was folded.
        """
        if offset < self.progress.offset:
            where = f"{self.id.topic}/{self.id.partition}"
            raise OtherLogError(
                f"{where}: written to offset {offset}, but folded up to {self.progress.offset}: it was made anew"
            )
        return replace(self.progress, offset=offset + 1, last_offset=offset, last_id=id_)

    def committed(self, commit: Commit) -> None:
        """The write was made, or has begun."""
        self._unproven = False
        self.stamps = (self.progress.stamp, commit.stamp)
        self.progress = commit.done

    def _prove(self, record: Record) -> None:
        progress = self.progress
        if record.offset() != progress.last_offset or (progress.last_id and event_id(record) != progress.last_id):
            raise OtherLogError(
                f"{self.id.topic}/{self.id.partition}: the log is not the one that was folded: event "
                f"{progress.last_id or '?'} at offset {progress.last_offset} is gone, now there is "
                f"{event_id(record) or '?'} at offset {record.offset()}"
            )
        self._unproven = False


def begun(
    store: SliceStore,
    slices: Mapping[Place, SliceId],
    parts: Sequence[str],
    topics: Topics,
    *,
    expiring: frozenset[str] = frozenset(),
    first: Mapping[Place, int] | None = None,
    kept: Collection[Place] = (),
) -> dict[Place, Progress]:
    """Where to go on with slices of these parts, each proved to be whole; one that is torn is deleted, and begins anew.

    first, expiring: as for `opened`. kept: the places whose slices hold what is not in the log any more. BeginningGoneError for
    a torn slice that the log cannot make anew; what is left of it stays.
    """
    progress, torn = store.proved(list(slices.values()), parts)
    if not torn:
        return dict(zip(slices, progress, strict=True))
    places = {place: slice_ for place, slice_ in slices.items() if slice_ in torn}
    starts = topics.starts(list(places))
    for place, slice_ in places.items():
        begin = (first or {}).get(place, 0)
        if place in kept or (starts[place] > begin and place[0] not in expiring):
            raise BeginningGoneError(
                f"{place[0]}/{place[1]}: the slice {slice_.key('')!r} is torn, its part {torn[slice_]!r} is not as it was last "
                f"written, and the log, which begins at offset {starts[place]}, cannot make it anew"
            )
    for slice_, part in torn.items():
        if store.drop_torn(slice_, [*parts, part]):
            log.warning("a slice was torn: it is folded anew", slice=slice_.key(""), part=part)
    return begun(store, slices, parts, topics, expiring=expiring, first=first, kept=kept)


def changed(store: SliceStore, slices: Mapping[Place, OpenSlice]) -> list[Place]:
    """The slices that are not stored as this process wrote them last, or of which a part is not whole."""
    stamps = store.stamps([(slice_.id, slice_.progress.parts) for slice_ in slices.values()])
    return [place for (place, slice_), stamp in zip(slices.items(), stamps, strict=True) if stamp != slice_.progress.stamp]


def opened(
    slices: Mapping[Place, SliceId],
    progress: Mapping[Place, Progress],
    topics: Topics,
    expiring: frozenset[str] = frozenset(),
    first: Mapping[Place, int] | None = None,
) -> dict[Place, OpenSlice]:
    """Open slices after checking their topics.

    first: where slices begin that were told to begin later than at offset zero. OtherLogError when a topic was deleted and made
    again, or was cut short; BeginningGoneError when it does not reach back to where its slice begins. Of a topic that is
    `expiring`, what is gone by age is not missed.
    """
    info = topics.describe(sorted({place[0] for place in slices}))
    starts = topics.starts(slices)
    ends = topics.ends(slices, committed=False)
    found = {}
    for place, slice_ in slices.items():
        begin = (first or {}).get(place, 0)
        stored = progress[place] if progress[place].revision else replace(progress[place], offset=begin)
        check_topic(place, stored, info[place[0]])
        _check_end(place, stored, ends[place])
        if place[0] not in expiring:
            check_start(place, starts[place], begin)
        # A hold of a slice that was gone left a progress of offset zero.
        found[place] = OpenSlice(slice_, replace(stored, topic_id=info[place[0]].id), max(starts[place], begin))
    return found


def check_topic(place: Place, stored: Progress, info: TopicInfo) -> None:
    """OtherLogError when the topic is not the one that was folded."""
    if stored.topic_id and stored.topic_id != info.id:
        raise OtherLogError(
            f"{place[0]}/{place[1]}: the topic was deleted and made again (its id is {info.id}, folded was "
            f"{stored.topic_id}): what was folded is not of this log"
        )


def check_start(place: Place, start: int, begin: int) -> None:
    """BeginningGoneError when the log, which starts there, does not reach back to where a fold of it begins."""
    if start > begin:
        raise BeginningGoneError(
            f"{place[0]}/{place[1]}: the log begins at offset {start}, not at {begin or 'zero'}: what is folded from it could "
            "not be folded anew"
        )


def _check_end(place: Place, stored: Progress, end: int) -> None:
    if stored.offset > end:
        raise OtherLogError(
            f"{place[0]}/{place[1]}: the log was cut short: it ends at offset {end}, folded is up to {stored.offset}"
        )


def place_of(record: Record) -> str:
    """Where a record lies, as errors say it."""
    return f"{record.topic()}/{record.partition()}@{record.offset()} key {record.key()!r}"


def event_id(record: Record) -> str:
    """The `ce_id` of a record, empty where it has none."""
    return (header(record.headers(), "ce_id") or b"").decode()
