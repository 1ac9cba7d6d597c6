//! A list whose answers the org ends at some length without a word: where that seems to have
//! happened, it is asked for again, a few users at a time.

use super::data_sets::USER_IDS;
use super::query::{Answered, Collected, Service, Sink};
use super::soql::{IN_MAX, Soql};
use super::table::Table;
use super::{Class, Client, DataSet, SalesforceError};

/// Queries after which no more users are asked for.
const QUERIES_MAX: u32 = 500;

impl Client {
    /// All rows of a data set whose answers end at `most`. Beside the answer: how much the org
    /// has more, where it does not give all of it.
    pub(super) async fn query_whole(
        &self,
        what: &DataSet,
        soql: &Soql,
        most: u64,
        table: &mut Table,
    ) -> Result<(Answered, Option<String>), SalesforceError> {
        let counted = unless_refused(self.count(&what.count()).await)?;
        let mut answered = self.query(Service::Data, soql, table).await?;
        let is_whole = match counted {
            Some(counted) => answered.rows >= counted,
            None => answered.rows < most,
        };
        if is_whole {
            return Ok((answered, None));
        }
        let by_user = ByUser {
            client: self,
            most,
            enough: counted.unwrap_or(u64::MAX),
        };
        let is_whole = match unless_refused(by_user.ask(what, soql, table).await)? {
            Some(found) => {
                answered.remark = None;
                answered.rows = found.rows;
                counted.map_or(found.is_whole, |counted| found.rows >= counted)
            }
            // It cannot be asked that way: what came before is better than nothing.
            None => {
                answered = self.query(Service::Data, soql, table).await?;
                false
            }
        };
        let cut_short = (!is_whole).then(|| match counted {
            Some(counted) => format!(
                "the org has {counted} rows of {} and gave {}",
                what.name, answered.rows
            ),
            None => format!(
                "the org has more rows of {} than the {} that it gave",
                what.name, answered.rows
            ),
        });
        Ok((answered, cut_short))
    }

    /// All users, those first who were there last: they are the likely ones.
    async fn user_ids(&self) -> Result<Vec<String>, SalesforceError> {
        let soql = USER_IDS
            .soql(&USER_IDS.columns(), None)
            .order_by(&["LastLoginDate DESC NULLS LAST", "Id"]);
        let mut found = Collected::default();
        self.query(Service::Data, &soql, &mut found).await?;
        let ids = found.0.iter().filter_map(|user| user.get("Id")?.as_str());
        Ok(ids.map(str::to_owned).collect())
    }
}

/// None where the org does not answer such a question; other faults stay faults.
fn unless_refused<T>(answer: Result<T, SalesforceError>) -> Result<Option<T>, SalesforceError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(fault)
            if matches!(
                fault.class(),
                Class::Unreadable | Class::Protocol | Class::TooLarge
            ) =>
        {
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

struct ByUser<'a> {
    client: &'a Client,
    /// An answer of so many rows is perhaps not whole.
    most: u64,
    /// Rows after which nobody else need be asked for.
    enough: u64,
}

struct Found {
    rows: u64,
    /// Everybody was asked for, and no answer was cut.
    is_whole: bool,
}

impl ByUser<'_> {
    /// Asks `soql` again, of some users each time, and writes what comes to the emptied table.
    async fn ask(
        &self,
        what: &DataSet,
        soql: &Soql,
        table: &mut Table,
    ) -> Result<Found, SalesforceError> {
        let mut found = Found {
            rows: 0,
            is_whole: false,
        };
        let Some(user) = what.user else {
            return Ok(found);
        };
        let users = self.client.user_ids().await?;
        table.begin()?;
        let mut open: Vec<&[String]> = users.chunks(IN_MAX).rev().collect();
        let mut queries = 0;
        let mut is_cut = false;
        while let Some(some) = open.pop() {
            if found.rows >= self.enough || queries == QUERIES_MAX {
                open.push(some);
                break;
            }
            queries += 1;
            let mut answer = Collected::default();
            let of_some = soql.clone().one_of(user, some);
            self.client
                .query(Service::Data, &of_some, &mut answer)
                .await?;
            let count = answer.0.len() as u64;
            if count >= self.most && some.len() > 1 {
                let (first, second) = some.split_at(some.len() / 2);
                open.extend([second, first]);
                continue;
            }
            is_cut |= count >= self.most;
            found.rows += count;
            for record in &answer.0 {
                table.record(record)?;
            }
        }
        found.is_whole = open.is_empty() && !is_cut;
        Ok(found)
    }
}
