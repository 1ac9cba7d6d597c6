//! The logs of the day that is being written: a table for each kind, and what is counted of the
//! rows that belong to a label.

use chrono::NaiveDate;

use crate::catalog::{Catalog, EventType};

use super::acts::{Act, Mark, Text};
use super::draw::Draw;
use super::org::Org;
use super::rows;
use super::table::{Quoting, Row, Table};

/// Which logs an org has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Login, Logout and ApiTotalUsage once a day, and LoginHistory.
    Free,
    /// All of Event Monitoring, with the Setup Audit Trail and the roster.
    Shield,
}

impl Tier {
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Free => "free",
            Tier::Shield => "shield",
        }
    }
}

/// A log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Login,
    Logout,
    ApiTotalUsage,
    LoginHistory,
    RestApi,
    Api,
    ApexRestApi,
    BulkApi2,
    Uri,
    LightningPageView,
    AuraRequest,
    Sites,
    Report,
    ReportExport,
    LoginAs,
    UniqueQuery,
    MetadataApiOperation,
    QueuedExecution,
    Sandbox,
    SetupAuditTrail,
}

impl Kind {
    pub const ALL: [Kind; 20] = [
        Kind::Login,
        Kind::Logout,
        Kind::ApiTotalUsage,
        Kind::LoginHistory,
        Kind::RestApi,
        Kind::Api,
        Kind::ApexRestApi,
        Kind::BulkApi2,
        Kind::Uri,
        Kind::LightningPageView,
        Kind::AuraRequest,
        Kind::Sites,
        Kind::Report,
        Kind::ReportExport,
        Kind::LoginAs,
        Kind::UniqueQuery,
        Kind::MetadataApiOperation,
        Kind::QueuedExecution,
        Kind::Sandbox,
        Kind::SetupAuditTrail,
    ];

    /// EVENT_TYPE, and the beginning of the file's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Login => "Login",
            Kind::Logout => "Logout",
            Kind::ApiTotalUsage => "ApiTotalUsage",
            Kind::LoginHistory => "LoginHistory",
            Kind::RestApi => "RestApi",
            Kind::Api => "API",
            Kind::ApexRestApi => "ApexRestApi",
            Kind::BulkApi2 => "BulkApi2",
            Kind::Uri => "URI",
            Kind::LightningPageView => "LightningPageView",
            Kind::AuraRequest => "AuraRequest",
            Kind::Sites => "Sites",
            Kind::Report => "Report",
            Kind::ReportExport => "ReportExport",
            Kind::LoginAs => "LoginAs",
            Kind::UniqueQuery => "UniqueQuery",
            Kind::MetadataApiOperation => "MetadataApiOperation",
            Kind::QueuedExecution => "QueuedExecution",
            Kind::Sandbox => "Sandbox",
            Kind::SetupAuditTrail => "SetupAuditTrail",
        }
    }

    fn in_tier(self, tier: Tier) -> bool {
        let free = [
            Kind::Login,
            Kind::Logout,
            Kind::ApiTotalUsage,
            Kind::LoginHistory,
        ];
        tier == Tier::Shield || free.contains(&self)
    }

    /// Headings and quoting: of EventLogFile what the catalogue knows of its newest release, of
    /// the two exports what a usual query asks for.
    fn table(self, catalog: &Catalog) -> Table {
        let words = |list: &str| list.split_whitespace().map(Text::from).collect();
        match self {
            Kind::LoginHistory => Table::new(words(LOGIN_HISTORY), Quoting::WhereNeeded),
            Kind::SetupAuditTrail => Table::new(words(SETUP_AUDIT_TRAIL), Quoting::Always),
            _ => {
                let event = catalog.event_type(self.as_str());
                let headings = |event: &EventType| {
                    let headings = event.columns.iter().map(|c| c.heading.as_str().into());
                    headings.collect()
                };
                Table::new(event.map(headings).unwrap_or_default(), Quoting::Always)
            }
        }
    }
}

const LOGIN_HISTORY: &str = "Id UserId LoginTime LoginType LoginSubType SourceIp LoginUrl \
    AuthenticationServiceId TlsProtocol CipherSuite Browser Platform Status Application \
    ClientVersion ApiType ApiVersion CountryIso ForwardedForIp";
const SETUP_AUDIT_TRAIL: &str =
    "Id CreatedDate CreatedById CreatedBy.Username Action Section Display DelegateUser";

/// What the logs hold of one label.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub rows: u64,
    pub first_at: Option<i64>,
    pub last_at: Option<i64>,
}

/// The rows of one day, and those few that an act of that day leaves in the next one.
pub struct Book<'o> {
    pub org: &'o Org,
    tables: Vec<(Kind, Table)>,
    /// Numbers of the daily life and of labelled acts, apart from each other.
    draws: [Draw; 2],
    serials: [u64; 2],
    tallies: Vec<Tally>,
}

impl<'o> Book<'o> {
    /// `labels`: how many there are.
    pub fn new(org: &'o Org, catalog: &Catalog, tier: Tier, labels: usize) -> Self {
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.in_tier(tier));
        Self {
            org,
            tables: kinds.map(|kind| (kind, kind.table(catalog))).collect(),
            draws: [
                Draw::new(org.seed, &["rows"]),
                Draw::new(org.seed, &["labelled rows"]),
            ],
            serials: [0; 2],
            tallies: vec![Tally::default(); labels],
        }
    }

    pub fn open(&mut self, day: NaiveDate) {
        let day = day.to_string();
        self.draws = [
            Draw::new(self.org.seed, &["rows", &day]),
            Draw::new(self.org.seed, &["labelled rows", &day]),
        ];
    }

    /// Writes an act into every log that would show it.
    pub fn put(&mut self, act: &Act, mark: Mark) {
        if let Some(tally) = self.tally(mark) {
            tally.first_at = Some(tally.first_at.map_or(act.at, |at| at.min(act.at)));
            tally.last_at = Some(tally.last_at.map_or(act.at, |at| at.max(act.at)));
        }
        rows::write(self, act, mark);
    }

    pub fn tables(&mut self) -> &mut [(Kind, Table)] {
        &mut self.tables
    }

    /// Rows that are not written to a file yet.
    #[cfg(test)]
    pub fn rows_held(&self) -> usize {
        self.tables.iter().map(|(_, table)| table.len()).sum()
    }

    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    fn tally(&mut self, mark: Mark) -> Option<&mut Tally> {
        let label = (mark.0 as usize).checked_sub(1)?;
        self.tallies.get_mut(label)
    }

    pub(super) fn draw(&mut self, mark: Mark) -> &mut Draw {
        &mut self.draws[usize::from(mark != Mark::NONE)]
    }

    /// A number that no other row has, ten letters long.
    pub(super) fn serial(&mut self, mark: Mark) -> String {
        let labelled = usize::from(mark != Mark::NONE);
        self.serials[labelled] += 1;
        let letter = if labelled == 1 { 'x' } else { '0' };
        format!("{letter}{:09}", self.serials[labelled])
    }

    /// A row of a log, or none where the org has no such log.
    pub(super) fn row(&mut self, kind: Kind, at: i64, mark: Mark) -> Option<Row<'_>> {
        let n = self.tables.iter().position(|(k, _)| *k == kind)?;
        if let Some(tally) = self.tally(mark) {
            tally.rows += 1;
        }
        Some(self.tables[n].1.row(at, mark))
    }
}
