//! Groups of people and webhooks, and what each of them asked to hear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lettre::message::Mailbox;

use super::AlertError;
use super::channel::Channel;
use super::dkim::Signer;
use super::message::{Recipients, mailbox_of};
use crate::config::{
    AlertGroup, DEFAULT_GROUP, Email, Family, Scope, Severity, UserRef, canonical_username,
};
use crate::lake::FindingRow;
use crate::privacy::printable;
use crate::registry::{Registry, Resolution};

/// Longest text of the registry that a remark repeats, in characters.
const MAX_OWNER: usize = 80;

/// One group: who they are, and which findings are theirs.
#[derive(Debug, Clone)]
pub struct Audience {
    /// `default`, the name of an `[[alert.group]]` or `[[alert.webhook]]`, or `group/mailbox` for
    /// one owner of a group of owners. What was told is remembered under it.
    pub name: String,
    pub channel: Channel,
    /// Findings below it are counted, not listed.
    pub min_severity: Severity,
    /// All where empty.
    families: BTreeSet<Family>,
    /// Ids and usernames; all users, and what is about none, where None.
    users: Option<BTreeSet<String>>,
}

/// All groups of the configuration, owners resolved.
#[derive(Debug, Clone)]
pub struct Audiences {
    pub all: Vec<Audience>,
    /// What nobody hears of, for the account of the run.
    pub remarks: Vec<String>,
}

/// What all mails and posts have in common.
#[derive(Debug, Clone)]
pub struct Letterhead {
    pub reply_to: Option<Mailbox>,
    /// Right side of Message-IDs.
    pub domain: String,
    /// https.
    pub link: Option<String>,
    /// Whether the nights of one subject form a thread.
    pub threading: bool,
    /// Days for which a finding that was mailed folds into "still active".
    pub quiet_days: u32,
    /// Findings shown in full in one mail; the rest is "+ n more".
    pub max_shown: usize,
    /// Signs mails; None leaves them unsigned.
    pub signer: Option<Arc<Signer>>,
}

impl Letterhead {
    /// `signer` is opened from the same settings, where they name one.
    pub fn of(email: &Email, signer: Option<Signer>) -> Result<Self, AlertError> {
        let reply_to = email.reply_to.value.as_deref();
        Ok(Self {
            reply_to: reply_to
                .map(|text| mailbox_of("reply_to", text))
                .transpose()?,
            domain: match &email.domain.value {
                Some(domain) => domain.clone(),
                None => mailbox_of("from", &email.from)?.email.domain().to_owned(),
            },
            link: email.link.value.clone(),
            threading: *email.threading,
            quiet_days: *email.quiet_days,
            max_shown: *email.max_shown as usize,
            signer: signer.map(Arc::new),
        })
    }
}

impl Audience {
    /// Whether a finding is theirs, however grave it is.
    pub fn is_theirs(&self, row: &FindingRow) -> bool {
        // A finding of an older release says nothing of its family: better told than lost.
        let of_family = self.families.is_empty()
            || row
                .family
                .is_none_or(|family| self.families.contains(&family));
        let of_user = self.users.as_ref().is_none_or(|users| {
            let ids = [&row.user_id, &row.user_key].into_iter().flatten();
            let name = row.username.as_deref().map(canonical_username);
            ids.cloned().chain(name).any(|user| users.contains(&user))
        });
        of_family && of_user
    }

    /// Adds the other names of its users: who is declared by username is found by id.
    fn resolve(&mut self, resolution: &Resolution) {
        let Some(users) = &mut self.users else {
            return;
        };
        let keys: Vec<String> = users
            .iter()
            .filter_map(|user| user.parse::<UserRef>().ok())
            .flat_map(|user| resolution.keys_of(&user))
            .collect();
        users.extend(resolution.aliases(&keys));
        users.extend(keys);
    }
}

impl Audiences {
    /// The groups of the configuration; those of owners by the registry as it holds at `now`.
    pub fn of(email: &Email, registry: &Registry, now: DateTime<Utc>) -> Result<Self, AlertError> {
        let mut audiences = Self {
            all: Vec::new(),
            remarks: Vec::new(),
        };
        if !email.to.is_empty() {
            audiences.all.push(Audience {
                name: DEFAULT_GROUP.to_owned(),
                channel: Channel::Mail(Recipients::parse(&email.from, &email.to)?),
                min_severity: *email.min_severity,
                families: BTreeSet::new(),
                users: None,
            });
        }
        for group in &email.groups {
            if group.owners {
                audiences.add_owners(email, group, registry, now)?;
                continue;
            }
            let recipients = Recipients::parse(&email.from, &group.to)?;
            let channel = Channel::Mail(recipients);
            audiences.add(email, &group.name, channel, &group.scope);
        }
        for webhook in &email.webhooks {
            let channel = Channel::Webhook {
                name: webhook.name.clone(),
                format: webhook.format,
            };
            audiences.add(email, &webhook.name, channel, &webhook.scope);
        }
        Ok(audiences)
    }

    /// Adds what the logs know of the users' names and ids.
    pub fn resolve(&mut self, resolution: &Resolution) {
        for audience in &mut self.all {
            audience.resolve(resolution);
        }
    }

    fn add(&mut self, email: &Email, name: &str, channel: Channel, scope: &Scope) {
        let users = scope.users.iter().map(|user| user.as_str().to_owned());
        self.all.push(Audience {
            name: name.to_owned(),
            channel,
            min_severity: scope.min_severity.unwrap_or(*email.min_severity),
            families: scope.families.iter().copied().collect(),
            users: (!scope.users.is_empty()).then(|| users.collect()),
        });
    }

    fn add_owners(
        &mut self,
        email: &Email,
        group: &AlertGroup,
        registry: &Registry,
        now: DateTime<Utc>,
    ) -> Result<(), AlertError> {
        let wanted: BTreeSet<&str> = group.scope.users.iter().map(|user| user.as_str()).collect();
        let mut owned: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut unreachable = BTreeSet::new();
        for user in registry
            .users
            .iter()
            .filter(|u| u.valid.contains(now.timestamp_millis()))
        {
            let Some(owner) = &user.owner else {
                continue;
            };
            let names = [&user.username, &user.user_id];
            let names: Vec<String> = names.into_iter().flatten().cloned().collect();
            if !wanted.is_empty() && !names.iter().any(|name| wanted.contains(name.as_str())) {
                continue;
            }
            match owner.parse::<Mailbox>() {
                Ok(mailbox) => {
                    let address = mailbox.email.to_string().to_lowercase();
                    owned.entry(address).or_default().extend(names);
                }
                Err(_) => {
                    unreachable.insert(printable(owner, MAX_OWNER));
                }
            }
        }
        if !unreachable.is_empty() {
            let named: Vec<String> = unreachable.into_iter().collect();
            self.remarks.push(format!(
                "group {}: no mail address in the registry, so these owners hear nothing: {}",
                group.name,
                printable(&named.join(", "), 5 * MAX_OWNER)
            ));
        }
        if owned.is_empty() {
            self.remarks.push(format!(
                "group {}: no account of the registry has an owner with a mail address",
                group.name
            ));
        }
        for (address, users) in owned {
            self.all.push(Audience {
                name: format!("{}/{address}", group.name),
                channel: Channel::Mail(Recipients::parse(&email.from, &[address])?),
                min_severity: group.scope.min_severity.unwrap_or(*email.min_severity),
                families: group.scope.families.iter().copied().collect(),
                users: Some(users),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn letterhead() -> Letterhead {
        Letterhead {
            reply_to: None,
            domain: "example.com".to_owned(),
            link: None,
            threading: true,
            quiet_days: 7,
            max_shown: 50,
            signer: None,
        }
    }
}
