//! Which declared user is which user of the logs.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{UserRef, canonical_username};

use super::Registry;
use super::model::RegistryUser;

/// Usernames and ids that belong together, from the logs and from entries that give both.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    ids: BTreeMap<String, BTreeSet<String>>,
    usernames: BTreeMap<String, BTreeSet<String>>,
}

impl Resolution {
    /// `known` are the pairs (18-character user id, username) that the logs show.
    pub fn new(registry: &Registry, known: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut resolution = Self::default();
        for (id, username) in known {
            resolution.add(id, canonical_username(&username));
        }
        for user in &registry.users {
            if let (Some(id), Some(username)) = (&user.user_id, &user.username) {
                resolution.add(id.clone(), username.clone());
            }
        }
        resolution
    }

    fn add(&mut self, id: String, username: String) {
        self.usernames
            .entry(id.clone())
            .or_default()
            .insert(username.clone());
        self.ids.entry(username).or_default().insert(id);
    }

    /// The `user_key`s of an entry: its ids where one is known, else its username. A username
    /// that has belonged to several users stands for all of them.
    pub fn keys(&self, user: &RegistryUser) -> Vec<String> {
        match (&user.user_id, &user.username) {
            (Some(id), _) => vec![id.clone()],
            (None, Some(username)) => self.keys_of_username(username),
            (None, None) => vec![],
        }
    }

    /// The `user_key`s of a user as people name one.
    pub fn keys_of(&self, user: &UserRef) -> Vec<String> {
        match user {
            UserRef::Id(id) => vec![id.clone()],
            UserRef::Username(username) => self.keys_of_username(username),
        }
    }

    fn keys_of_username(&self, username: &str) -> Vec<String> {
        match self.ids.get(username) {
            Some(ids) => ids.iter().cloned().collect(),
            None => vec![username.to_owned()],
        }
    }

    /// The keys and every username that goes with them: a row may carry either.
    pub fn aliases(&self, keys: &[String]) -> Vec<String> {
        let usernames = keys
            .iter()
            .filter_map(|key| self.usernames.get(key))
            .flatten();
        keys.iter().chain(usernames).cloned().collect()
    }

    /// The username that goes with a key: the key itself, or one that its id has had.
    pub fn username<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        if key.contains('@') {
            return Some(key);
        }
        self.usernames.get(key)?.first().map(String::as_str)
    }

    /// Entries whose user the logs have not shown: their username has no id yet.
    pub fn unresolved<'r>(&self, registry: &'r Registry) -> Vec<&'r RegistryUser> {
        let known = |u: &RegistryUser| {
            u.user_id.is_some()
                || u.username
                    .as_ref()
                    .is_some_and(|name| self.ids.contains_key(name))
        };
        registry.users.iter().filter(|user| !known(user)).collect()
    }

    /// All pairs (18-character user id, lower-case username), in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.usernames
            .iter()
            .flat_map(|(id, names)| names.iter().map(move |n| (id.as_str(), n.as_str())))
    }

    pub(super) fn ids_of_username(&self, username: &str) -> Option<&BTreeSet<String>> {
        self.ids.get(username)
    }
}
