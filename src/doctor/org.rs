//! The org that logs are fetched from: the way in, what may be read there, and how much more may be
//! asked today.

use chrono::{DateTime, TimeDelta, Utc};

use super::Check;
use crate::salesforce::{Identity, Usage};

/// A certificate that ends sooner is worth a look.
const SOON: TimeDelta = TimeDelta::days(30);

/// What went wrong, and what to do.
pub type Trouble = (String, String);

/// One data set that may be read, or not.
#[derive(Debug, Clone)]
pub struct Readable {
    pub name: &'static str,
    pub permission: &'static str,
    pub outcome: Result<(), Trouble>,
}

/// What was seen of an org.
#[derive(Debug, Clone)]
pub struct OrgSeen {
    pub identity: Result<Identity, Trouble>,
    /// Versions that the org serves.
    pub versions: Result<Vec<u32>, Trouble>,
    /// The version that is asked for.
    pub api_version: u32,
    pub usage: Option<Usage>,
    /// Above this share of its calls the org is left alone.
    pub usage_share: f64,
    pub certificate_expires: Option<DateTime<Utc>>,
    /// That this machine's clock differs from the org's, where it does.
    pub clock_remark: Option<String>,
    /// Empty where nobody is signed in.
    pub data_sets: Vec<Readable>,
}

/// Everything about the org.
pub fn org(seen: &OrgSeen, now: DateTime<Utc>) -> Vec<Check> {
    let mut checks = vec![match &seen.identity {
        Ok(identity) => {
            let who = format!("{} as {}", identity.org_id, identity.username);
            Check::pass("org", "sign-in", who)
        }
        Err((what, fix)) => Check::fail("org", "sign-in", what, fix),
    }];
    checks.push(version(seen));
    if let Some(at) = seen.certificate_expires {
        checks.push(certificate(at, now));
    }
    let clock = seen.clock_remark.iter();
    checks.extend(clock.map(|it| Check::warn("org", "clock", it, "set it by NTP")));
    checks.extend(seen.usage.map(|usage| allowance(usage, seen.usage_share)));
    checks.extend(seen.data_sets.iter().map(data_set));
    checks.extend(nothing_to_read(&seen.data_sets));
    checks
}

/// A person who signed in, where the nightly runs sign in as somebody else.
pub fn visitor(signed_in: &Identity, expected: Option<&str>) -> Option<Check> {
    let expected = expected.filter(|name| *name != signed_in.username)?;
    let who = &signed_in.username;
    Some(Check::warn(
        "org",
        "user",
        format!(
            "{who} signed in, and `username` is {expected}: what follows is what {who} may read"
        ),
        format!(
            "give {expected} the same permissions, or sign in as that user; `orgwatch doctor` signs in as it"
        ),
    ))
}

/// How a session ended.
pub fn sign_out(is_over: bool) -> Check {
    match is_over {
        true => Check::pass(
            "org",
            "sign-out",
            "the session is over; nothing of it was kept",
        ),
        false => Check::warn(
            "org",
            "sign-out",
            "the org does not say that the session is over; nothing of it was kept",
            "end it in Setup > Session Management; without that it ends by the app's session policies",
        ),
    }
}

fn version(seen: &OrgSeen) -> Check {
    let wanted = seen.api_version;
    match &seen.versions {
        Err((what, fix)) => Check::fail("org", "API version", what, fix),
        Ok(versions) if versions.contains(&wanted) => {
            Check::pass("org", "API version", format!("{wanted}.0 is served"))
        }
        Ok(versions) => Check::fail(
            "org",
            "API version",
            format!("the org does not serve {wanted}.0"),
            match versions.last() {
                Some(newest) => format!("set `api_version` in [salesforce] to {newest} or lower"),
                None => "check that `login_url` is the org's My Domain".to_owned(),
            },
        ),
    }
}

fn certificate(expires: DateTime<Utc>, now: DateTime<Utc>) -> Check {
    let detail = format!("valid until {}", expires.date_naive());
    let fix = "upload a new certificate to the app and give its key here, before this one ends";
    if expires <= now {
        let detail = format!("expired on {}", expires.date_naive());
        Check::fail("org", "certificate", detail, fix)
    } else if expires - now < SOON {
        Check::warn("org", "certificate", detail, fix)
    } else {
        Check::pass("org", "certificate", detail)
    }
}

#[allow(clippy::cast_precision_loss)]
fn allowance(usage: Usage, share: f64) -> Check {
    let detail = format!("{} of {} are used", usage.used, usage.allowed);
    match usage.used as f64 >= usage.allowed as f64 * share {
        true => Check::warn(
            "org",
            "API calls",
            detail,
            "nothing is fetched now; see who uses them up, or raise `usage_share` in [salesforce]",
        ),
        false => Check::pass("org", "API calls", detail),
    }
}

fn data_set(set: &Readable) -> Check {
    match &set.outcome {
        Ok(()) => Check::pass("org", set.name, "can be read"),
        Err((what, fix)) => Check::warn(
            "org",
            set.name,
            what,
            match fix.is_empty() {
                true => format!("give the user the permission {}", set.permission),
                false => fix.clone(),
            },
        ),
    }
}

/// One data set may be left out; a user without any, or one whom the org turns away at each call, is
/// of no use.
fn nothing_to_read(sets: &[Readable]) -> Option<Check> {
    let is_readable = |set: &Readable| set.outcome.is_ok();
    (!sets.is_empty() && !sets.iter().any(is_readable)).then(|| {
        Check::fail(
            "org",
            "data sets",
            "none of them can be read",
            "mend what the lines above have in common: permissions, the client certificate, or the API access of the user",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn seen() -> OrgSeen {
        OrgSeen {
            identity: Ok(Identity {
                org_id: "00D5e000000AcmEEAS".to_owned(),
                user_id: "0055e000000000BAAQ".to_owned(),
                username: "orgwatch@example.com".to_owned(),
            }),
            versions: Ok(vec![31, 65, 66]),
            api_version: 66,
            usage: Some(Usage {
                used: 100,
                allowed: 1000,
            }),
            usage_share: 0.8,
            certificate_expires: Some("2027-01-01T00:00:00Z".parse().unwrap()),
            clock_remark: None,
            data_sets: vec![Readable {
                name: "Profile",
                permission: "View Setup and Configuration",
                outcome: Ok(()),
            }],
        }
    }

    fn verdicts(seen: &OrgSeen) -> Vec<(String, Verdict)> {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let checks = org(seen, now).into_iter();
        checks.map(|check| (check.name, check.verdict)).collect()
    }

    fn verdict(seen: &OrgSeen, name: &str) -> Verdict {
        let all = verdicts(seen);
        all.iter().find(|(found, _)| found == name).unwrap().1
    }

    #[test]
    fn a_healthy_org_passes_everything() {
        assert!(verdicts(&seen()).iter().all(|(_, it)| *it == Verdict::Pass));
    }

    #[test]
    fn a_visitor_is_named_where_the_nightly_user_is_somebody_else() {
        let identity = seen().identity.unwrap();
        assert_eq!(visitor(&identity, None), None);
        assert_eq!(visitor(&identity, Some("orgwatch@example.com")), None);
        let check = visitor(&identity, Some("erp@example.com")).unwrap();
        assert_eq!(check.verdict, Verdict::Warn);
        for name in ["orgwatch@example.com", "erp@example.com"] {
            assert!(check.detail.contains(name), "{}", check.detail);
        }
        assert_eq!(sign_out(true).verdict, Verdict::Pass);
        assert_eq!(sign_out(false).verdict, Verdict::Warn);
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_by_its_own_line() {
        let mut ill = seen();
        ill.identity = Err(("no".to_owned(), "do".to_owned()));
        assert_eq!(verdict(&ill, "sign-in"), Verdict::Fail);
        ill.api_version = 40;
        assert_eq!(verdict(&ill, "API version"), Verdict::Fail);
        ill.certificate_expires = Some("2026-06-20T00:00:00Z".parse().unwrap());
        assert_eq!(verdict(&ill, "certificate"), Verdict::Warn);
        ill.certificate_expires = Some("2026-05-20T00:00:00Z".parse().unwrap());
        assert_eq!(verdict(&ill, "certificate"), Verdict::Fail);
        ill.usage = Some(Usage {
            used: 800,
            allowed: 1000,
        });
        assert_eq!(verdict(&ill, "API calls"), Verdict::Warn);
        ill.clock_remark = Some("the clock is five minutes behind".to_owned());
        assert_eq!(verdict(&ill, "clock"), Verdict::Warn);
        ill.data_sets[0].outcome = Err(("hidden".to_owned(), String::new()));
        assert_eq!(verdict(&ill, "Profile"), Verdict::Warn);
    }

    #[test]
    fn who_may_read_nothing_at_all_fails() {
        let mut ill = seen();
        ill.data_sets[0].outcome = Err(("hidden".to_owned(), String::new()));
        assert_eq!(verdict(&ill, "data sets"), Verdict::Fail);
        ill.data_sets.extend(seen().data_sets);
        assert!(!verdicts(&ill).iter().any(|(name, _)| name == "data sets"));
        ill.data_sets.clear();
        assert!(!verdicts(&ill).iter().any(|(name, _)| name == "data sets"));
    }
}
