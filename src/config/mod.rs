//! Settings with their origin: flag over environment over file over default. Unknown keys are
//! refused, and each refusal names file, line and column, and what to write instead.

mod alert;
mod document;
mod environment;
mod family;
mod fault;
mod file;
mod network;
mod operations;
mod origin;
mod rule;
mod salesforce;
mod secret;
mod settings;
mod severity;
mod suppress;
mod value;

#[cfg(test)]
mod tests;

pub use alert::{
    AlertGroup, DEFAULT_GROUP, Dkim, Email, HookUrl, Scope, Server, TlsMode, TransportKind,
    Webhook, WebhookFormat,
};
pub use document::{Document, Item, Section};
pub use environment::find_file;
pub use family::Family;
pub use fault::{Fault, Position, hint_for_word, nearest};
pub use network::parse_network;
pub use operations::{Glance, LogFormat, Operations, parse_log_format};
pub use origin::{Origin, Setting};
pub use rule::{ParamValue, RuleParam, RuleSetting, RuleStatus};
pub use salesforce::{
    Flow, Intervals, LoginSecrets, Mtls, MtlsPair, Salesforce, SalesforceSecrets, TlsSecrets,
};
pub use secret::{
    PASSWORD_CREDENTIAL, PASSWORD_VARIABLE, SecretError, dkim_key, login_secrets,
    salesforce_secrets, smtp_password, webhook_secrets,
};
pub use settings::{ConfigError, Detect, Enrich, Inputs, Limits, Org, Overrides, Settings, Store};
pub use severity::Severity;
pub use suppress::{LONGEST_SUPPRESSION_DAYS, Suppression};
pub use value::{
    BadValue, ByteSize, LEAST_MEMORY, UserRef, canonical_username, parse_fail_on, parse_id,
    parse_mailbox, parse_memory, parse_timezone, parse_user_id, parse_username,
};
