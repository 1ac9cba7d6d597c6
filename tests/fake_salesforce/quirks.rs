//! Switches: what real orgs do differently from each other, and what a hostile or broken one could
//! do. All are off at the start.

use std::collections::BTreeSet;

#[derive(Debug, Clone, Default)]
pub struct Quirks {
    // The token answer.
    pub instance_url: InstanceUrl,
    pub omit_scope: bool,
    /// Keys that no documentation knows.
    pub unknown_keys: bool,
    /// A refresh token comes with the code's token, though its scope was not asked for.
    pub unasked_refresh_token: bool,
    /// The token is a signed one of 1.5 kB.
    pub long_token: bool,
    /// `exp` may be no more than three minutes ahead.
    pub strict_exp: bool,
    /// Other wording of the audience error.
    pub audience_validation_failed: bool,
    /// Text of the answer beyond 3600 logins an hour.
    pub login_rate_text: Option<String>,
    /// userinfo names another org or user than the token's.
    pub userinfo_org: Option<String>,
    pub userinfo_username: Option<String>,

    // Queries.
    /// Rows on a page at most.
    pub page_cap: Option<usize>,
    /// Pages of odd sizes below the cap.
    pub ragged_pages: bool,
    /// The first page has no row, and is not the last.
    pub empty_first_page: bool,
    pub next_url: NextUrl,
    /// Added to `totalSize`.
    pub total_off: i64,
    /// Sequence and LogFileLength as `1` and not `1.0`.
    pub whole_numbers: bool,
    /// `+0000` is understood in a time literal.
    pub lenient_zone: bool,
    pub unknown_record_keys: bool,
    /// Objects whose queries take too long when they span more than this many minutes.
    pub slow: BTreeSet<String>,
    pub slow_minutes: i64,
    /// Profile metadata without ranges says null and not nothing.
    pub null_ranges: bool,

    // Log files.
    pub content_type: ContentType,
    pub content_length: bool,
    pub gzip: Gzip,
}

/// What the token answer says about the instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum InstanceUrl {
    #[default]
    Right,
    TrailingSlash,
    UpperCase,
    Given(String),
    Missing,
}

/// How a page names the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NextUrl {
    #[default]
    Right,
    /// `done` is false, and there is none.
    Missing,
    /// `done` is true, and there is one.
    AfterTheEnd,
    /// Always the same page.
    Repeated,
    /// On another host.
    Foreign(String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContentType {
    #[default]
    OctetStream,
    Csv,
    None,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gzip {
    #[default]
    AsAsked,
    Never,
    /// Even to who did not ask.
    Always,
}
