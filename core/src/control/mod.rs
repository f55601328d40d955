//! The control group: what a majority of a few voters decides for everybody.
//!
//! | folder | holds |
//! | --- | --- |
//! | [`group`] | consensus: a replicated log of entries whose meaning it does not know |

#[cfg(feature = "control")]
pub mod group;
