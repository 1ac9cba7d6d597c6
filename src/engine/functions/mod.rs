//! Our SQL functions. All are immutable, take NULL for an answer, and turn text that does not
//! parse into NULL instead of failing: a log is not to be argued with.
//!
//! | function | answer |
//! |---|---|
//! | `ip_in(ip, cidr)` | whether the address lies in the network |
//! | `ip_key(text)` | the address in 16 bytes that compare as addresses do |
//! | `ip_kind(text)` | public, private, salesforce, unparsed, missing |
//! | `network_of(ip[, v4_prefix, v6_prefix])` | network around the address, /24 and /48 by default |
//! | `in_networks(user_key, ip, at)` | whether the user's declared networks hold the address |
//! | `nearest_network(user_key, ip, at)` | the declared network that resembles the address most |
//! | `in_window(user_key, ip, at, kind)` | whether a ticketed exception covers it |
//! | `known_username(user_id)`, `known_user_id(username)` | who is called what, by the logs |
//! | `mentions(mentioned_users, username)` | whether a sentence named the user |
//! | `uri_template(text)` | what the lake keeps of a path: `/services/apexrest/{name:~…}/{id}` |
//! | `sf_id18(text)` | the 18-character form of an id |
//! | `skeleton(text)` | what a name looks like, confusable characters folded |
//! | `app_name_key(text)` | a name without regard to case, blanks and compatibility forms |
//! | `printable(text)` | text made safe to show, at most 200 characters |
//! | `outcome(status)`, `fail_class(status)` | what a login status means |
//! | `login_path(…)`, `path_certainty(…)` | the door of a login, and how sure that is |
//! | `ua_family(text)` | kind of client: browser, curl, java, python, …, other, missing |
//! | `session_type(text)` | canonical name of a session type, or unmapped |
//! | `known_code(field, value)` | whether the catalogue knows a coded field's value |
//! | `ip_asn(ip)`, `ip_as_name(ip)` | number and name of the autonomous system |
//! | `ip_country(ip)` | two capital letters |
//! | `ip_latitude(ip)`, `ip_longitude(ip)`, `ip_radius_km(ip)` | where it is, and how sure that is |
//! | `km_between(lat, lon, lat, lon)` | distance in kilometres |
//! | `origin_of(ip)` | `AS64500` where that is known, else the network around the address |
//! | `ip_classes(ip, at)` | what network lists say stands behind it: tor, vpn, proxy, hosting, egress |
//! | `ip_lists(ip, at)` | the same with the lists' names and times |
//! | `indicators_of(kind, value)` | which published indicators a value matches |
//! | `inferred_role(user_type, username[, user_key, at])` | guest, internal_system or human, from the row alone; integration where the account is known as a machine |

mod address;
mod codes;
pub mod login;
mod networks;
mod origin;
#[cfg(test)]
mod origin_tests;
mod roles;
mod scalar;
#[cfg(test)]
mod tests;
mod text;
mod users;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use crate::enrich::Enrichment;
use crate::privacy::DigestKey;
use crate::registry::Networks;

pub use address::network_around;
pub(super) use roles::KnownMachines;
pub use text::app_name_key;
pub(super) use users::KnownUsers;

/// The functions that need nothing but their arguments.
pub(super) fn plain() -> Vec<ScalarUDF> {
    let mut functions = address::functions();
    functions.extend(text::functions());
    functions.extend(login::functions());
    functions.extend(codes::functions());
    functions
}

/// The functions that ask the registry.
pub(super) fn of_registry(networks: &Arc<Networks>) -> Vec<ScalarUDF> {
    networks::functions(networks)
}

/// The functions that ask what is known of addresses and indicators.
pub(super) fn of_enrichment(known: &Arc<Enrichment>) -> Vec<ScalarUDF> {
    origin::functions(known)
}

/// The functions that need the lake's key.
pub(super) fn of_key(key: &DigestKey) -> Vec<ScalarUDF> {
    vec![users::mentions(key), text::uri_template(key)]
}

/// The functions that know who is called what.
pub(super) fn of_users(users: KnownUsers) -> Vec<ScalarUDF> {
    users::functions(users)
}

/// The function that knows which accounts are machines.
pub(super) fn of_machines(machines: KnownMachines) -> ScalarUDF {
    roles::inferred_role(&Arc::new(machines))
}
