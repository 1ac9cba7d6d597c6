//! What the org lets this user read, asked with as little as possible; and whether it shows the logins
//! of others, or hides them without a word.

use chrono::{DateTime, Utc};

use super::export::unreadable;
use super::query::{Collected, Service};
use super::soql::Soql;
use super::{Class, Client, DataSet, LOGIN_HISTORY, SalesforceError, Window};

impl Client {
    /// The time by which this client goes.
    pub fn now(&self) -> DateTime<Utc> {
        self.pace().now()
    }

    /// Without its permission LoginHistory holds the asking user's own rows, and looks like an org in
    /// which nobody else logs in. False where the list of users knows better: somebody else did in
    /// this window. True where nobody did, and where that list does not tell.
    pub async fn shows_logins_of_others(
        &self,
        user_id: &str,
        window: Window,
    ) -> Result<bool, SalesforceError> {
        let logins = Soql::select(["Id"], LOGIN_HISTORY.name)
            .since("LoginTime", window.from)
            .before("LoginTime", window.to)
            .unlike("UserId", user_id)
            .limit(1);
        if self.finds(&logins).await? {
            return Ok(true);
        }
        let users = Soql::select(["Id"], "User")
            .since("LastLoginDate", window.from)
            .before("LastLoginDate", window.to)
            .unlike("Id", user_id)
            .limit(1);
        match self.finds(&users).await {
            Ok(somebody) => Ok(!somebody),
            Err(fault) if fault.class() == Class::Unreadable || fault.code().is_some() => Ok(true),
            Err(fault) => Err(fault),
        }
    }

    /// Asks for one row of a data set.
    ///
    /// # Errors
    /// [`Class::Unreadable`] names the permission that is missing.
    pub async fn may_read(&self, what: &DataSet) -> Result<(), SalesforceError> {
        let columns: Vec<String> = what.needed.iter().map(|c| (*c).to_owned()).collect();
        let soql = what.soql(&columns, None).limit(1);
        match self.finds(&soql).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(unreadable(what.name, what.permission, fault)),
        }
    }

    async fn finds(&self, soql: &Soql) -> Result<bool, SalesforceError> {
        let mut found = Collected::default();
        self.query(Service::Data, soql, &mut found).await?;
        Ok(!found.0.is_empty())
    }
}
