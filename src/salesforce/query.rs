//! Queries page by page. A page that makes no sense ends them; a cursor that the org forgot
//! begins them anew.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::soql::Soql;
use super::{Client, SalesforceError};

pub(super) type Record = Map<String, Value>;

/// Most records of a page. The org may send fewer.
const PAGE: (&str, &str) = ("Sforce-Query-Options", "batchSize=2000");
/// How often a query begins anew because the org forgot its cursor.
const RESTARTS_MAX: u32 = 2;
/// Empty pages in a row after which nobody believes in the next one.
const EMPTY_PAGES_MAX: u32 = 50;
/// Longest name of a cursor.
const LOCATOR_MAX: usize = 200;

/// Where the records of a query go.
pub(super) trait Sink: Send {
    /// The records come, or come again, from the first.
    fn begin(&mut self) -> Result<(), SalesforceError>;
    fn record(&mut self, record: &Record) -> Result<(), SalesforceError>;
}

/// The few records of a small answer.
#[derive(Default)]
pub(super) struct Collected(pub Vec<Record>);

impl Sink for Collected {
    fn begin(&mut self) -> Result<(), SalesforceError> {
        self.0.clear();
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<(), SalesforceError> {
        self.0.push(record.clone());
        Ok(())
    }
}

/// Which of the org's two services is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Data,
    /// Setup's own objects.
    Tooling,
}

impl Service {
    fn path(self) -> &'static str {
        match self {
            Service::Data => "/query",
            Service::Tooling => "/tooling/query",
        }
    }
}

/// What became of a query.
#[derive(Debug)]
pub(super) struct Answered {
    /// Records that came, of the last beginning.
    pub rows: u64,
    /// The org's clock at the first page.
    pub server_time: Option<DateTime<Utc>>,
    pub remark: Option<String>,
}

impl Client {
    /// All records of a query, in the org's order.
    pub(super) async fn query(
        &self,
        service: Service,
        soql: &Soql,
        sink: &mut dyn Sink,
    ) -> Result<Answered, SalesforceError> {
        let mut restarts = 0;
        loop {
            sink.begin()?;
            match self.pages(service, soql, sink).await {
                Err(fault)
                    if fault.code() == Some("INVALID_QUERY_LOCATOR") && restarts < RESTARTS_MAX =>
                {
                    restarts += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// How many rows the org says that a query has; `soql` is one of [`Soql::count`].
    pub(super) async fn count(&self, soql: &Soql) -> Result<u64, SalesforceError> {
        let answer = self
            .get_json(Service::Data.path(), &[("q", &soql.text())], &[PAGE])
            .await?;
        let total = answer.json.get("totalSize").and_then(number);
        total.ok_or_else(|| SalesforceError::protocol("the org counts rows without a number"))
    }

    async fn pages(
        &self,
        service: Service,
        soql: &Soql,
        sink: &mut dyn Sink,
    ) -> Result<Answered, SalesforceError> {
        let text = soql.text();
        let mut answer = self
            .get_json(service.path(), &[("q", &text)], &[PAGE])
            .await?;
        let server_time = answer.server_time;
        let (mut rows, mut empty_pages) = (0, 0);
        let mut promised = None;
        let mut met = HashSet::new();
        loop {
            let page = Page::read(answer.json)?;
            promised = promised.or(page.total);
            for record in &page.records {
                sink.record(record)?;
            }
            rows += page.records.len() as u64;
            let Some(locator) = page.next else { break };
            empty_pages = match page.records.is_empty() {
                true => empty_pages + 1,
                false => 0,
            };
            if empty_pages > EMPTY_PAGES_MAX {
                return Err(SalesforceError::protocol(
                    "the org sends one empty page after the other",
                ));
            }
            let path = format!("{}/{locator}", service.path());
            if !met.insert(locator) {
                return Err(SalesforceError::protocol(
                    "the org sends the same page again as the next one",
                ));
            }
            answer = self.get_json(&path, &[], &[PAGE]).await?;
        }
        let remark = promised.filter(|n| *n != rows).map(|promised| {
            format!(
                "the org announced {promised} rows of {} and sent {rows}",
                soql.object()
            )
        });
        Ok(Answered {
            rows,
            server_time,
            remark,
        })
    }
}

/// One page of an answer.
#[derive(Debug)]
struct Page {
    records: Vec<Record>,
    /// Rows of the whole query.
    total: Option<u64>,
    /// Name of the cursor at the next page.
    next: Option<String>,
}

impl Page {
    fn read(json: Value) -> Result<Self, SalesforceError> {
        let nonsense =
            |what: &str| SalesforceError::protocol(format!("the answer to a query {what}"));
        let Value::Object(mut page) = json else {
            return Err(nonsense("is no JSON object"));
        };
        let Some(Value::Array(records)) = page.remove("records") else {
            return Err(nonsense("has no records"));
        };
        let records = records
            .into_iter()
            .map(|record| match record {
                Value::Object(record) => Ok(record),
                _ => Err(nonsense("has a record that is no JSON object")),
            })
            .collect::<Result<Vec<Record>, SalesforceError>>()?;
        // With `done` there is nothing more, whatever else the page says.
        let next = match page.get("done") {
            Some(Value::Bool(true)) => None,
            Some(Value::Bool(false)) => match page.get("nextRecordsUrl") {
                Some(Value::String(url)) => Some(
                    locator(url)
                        .ok_or_else(|| nonsense("names a next page that is not the org's own"))?
                        .to_owned(),
                ),
                _ => return Err(nonsense("is not done and names no next page")),
            },
            _ => return Err(nonsense("does not say whether it is done")),
        };
        Ok(Self {
            records,
            total: page.get("totalSize").and_then(number),
            next,
        })
    }
}

/// The cursor in `/services/data/v66.0/query/01g…-2000`. Its host and version are ours to choose;
/// an address with a host of its own is none.
fn locator(url: &str) -> Option<&str> {
    let (version, rest) = url.strip_prefix("/services/data/v")?.split_once('/')?;
    let rest = rest.strip_prefix("tooling/").unwrap_or(rest);
    let locator = rest.strip_prefix("query/")?;
    let is_version = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_locator = (1..=LOCATOR_MAX).contains(&locator.len())
        && locator
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_version && is_locator).then_some(locator)
}

/// A number that counts: `3`, `3.0`, and in some answers `"3"`.
pub(super) fn number(value: &Value) -> Option<u64> {
    let float = match value {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => return Some(whole),
            None => number.as_f64()?,
        },
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // Beyond 2^53 a float counts nothing.
    (float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float))
        .then_some(float as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_next_page_is_followed_only_below_the_orgs_own_queries() {
        for (url, found) in [
            (
                "/services/data/v66.0/query/01gRO0000016PIAYA2-500",
                Some("01gRO0000016PIAYA2-500"),
            ),
            (
                "/services/data/v62.0/query/0r8xx_-AAA-2000",
                Some("0r8xx_-AAA-2000"),
            ),
            ("/services/data/v66.0/tooling/query/01g-1", Some("01g-1")),
            (
                "https://evil.example.com/services/data/v66.0/query/01g-500",
                None,
            ),
            ("//evil.example.com/services/data/v66.0/query/01g-500", None),
            ("/services/data/v66.0@evil.example.com/query/01g-500", None),
            ("/services/data/v66.0/query/../../oauth2/revoke", None),
            ("/services/data/v66.0/query/01g?x=1", None),
            ("/services/data/v66.0/query/01g%2e%2e", None),
            ("/services/data/v66.0/query/", None),
            ("/services/data/v66.0/sobjects/User", None),
            ("01g-500", None),
        ] {
            assert_eq!(locator(url), found, "{url}");
        }
    }

    #[test]
    fn a_page_says_whether_another_follows_or_makes_no_sense() {
        let next = "/services/data/v66.0/query/01g-2";
        let read = |json: Value| Page::read(json).map(|p| (p.records.len(), p.total, p.next));
        let is = |json: Value, page| assert_eq!(read(json).unwrap(), page);
        is(
            json!({"totalSize": 3.0, "done": false, "nextRecordsUrl": next, "records": [], "new": 1}),
            (0, Some(3), Some("01g-2".to_owned())),
        );
        is(
            json!({"totalSize": null, "done": true, "nextRecordsUrl": next, "records": [{}]}),
            (1, None, None),
        );
        for nonsense in [
            json!([]),
            json!({"done": true}),
            json!({"done": true, "records": null}),
            json!({"done": true, "records": [null]}),
            json!({"done": "true", "records": []}),
            json!({"records": []}),
            json!({"done": false, "records": []}),
            json!({"done": false, "records": [], "nextRecordsUrl": null}),
            json!({"done": false, "records": [], "nextRecordsUrl": "https://evil.example.com/"}),
        ] {
            let fault = Page::read(nonsense.clone()).unwrap_err();
            assert_eq!(
                fault.class(),
                crate::salesforce::Class::Protocol,
                "{nonsense}"
            );
            assert!(!fault.to_string().contains("evil"));
        }
    }

    #[test]
    fn numbers_count_in_each_spelling() {
        for (value, found) in [
            (json!(7), Some(7)),
            (json!(2692.0), Some(2692)),
            (json!("1.0"), Some(1)),
            (json!(1.5), None),
            (json!(-1), None),
            (json!(1e300), None),
            (json!(null), None),
            (json!("x"), None),
        ] {
            assert_eq!(number(&value), found, "{value}");
        }
    }
}
