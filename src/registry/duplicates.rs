//! Two entries that say something about the same thing at the same time are a mistake: which of
//! them holds would depend on their order.

use crate::config::{Document, Fault, Position};

use super::Registry;
use super::model::{AllowedApp, Declared, OrgApp, RegistryUser, Validity};

pub(super) fn refuse(doc: &Document, registry: &Registry) -> Result<(), Fault> {
    pairs(
        doc,
        &registry.users,
        |u| (u.valid, u.at),
        same_user,
        |u| format!("user `{}`", u.name()),
    )?;
    pairs(
        doc,
        &registry.apps,
        |a| (a.valid, a.at),
        same_org_app,
        |a| format!("app `{}`", a.name),
    )?;
    let same_window = |a: &super::Window, b: &super::Window| {
        a.kind == b.kind && a.user == b.user && a.networks == b.networks && a.valid == b.valid
    };
    let name = |w: &super::Window| format!("{} window of `{}`", w.kind.as_str(), w.user.as_str());
    pairs(
        doc,
        &registry.windows,
        |w| (w.valid, w.at),
        same_window,
        name,
    )?;
    for user in &registry.users {
        declared(
            doc,
            &user.networks,
            |a, b| a == b,
            |net| format!("network {net}"),
        )?;
        declared(
            doc,
            &user.gateway_networks,
            |a, b| a == b,
            |net| format!("network {net}"),
        )?;
        declared(
            doc,
            &user.flows,
            |a, b| a == b,
            |flow| format!("flow `{flow}`"),
        )?;
        declared(
            doc,
            &user.allow_ui_paths,
            |a, b| a == b,
            |path| format!("path `{path}`"),
        )?;
        declared(
            doc,
            &user.tools,
            |a, b| label(a) == label(b),
            |tool| format!("tool `{tool}`"),
        )?;
        declared(
            doc,
            &user.endpoints,
            |a, b| a == b,
            |endpoint| format!("endpoint `{endpoint}`"),
        )?;
        declared(
            doc,
            &user.hours,
            |a, b| a == b,
            |hours| format!("part of the week `{hours}`"),
        )?;
        declared(doc, &user.apps, same_app, |app| {
            let name = app.name.as_deref().or(app.id.as_deref());
            format!("app `{}`", name.unwrap_or_default())
        })?;
    }
    declared(
        doc,
        &registry.org.base_profiles,
        |a, b| label(a) == label(b),
        |profile| format!("profile `{profile}`"),
    )?;
    declared(
        doc,
        &registry.org.log_readers,
        |a, b| a == b,
        |user| format!("log reader `{}`", user.as_str()),
    )
}

fn declared<T>(
    doc: &Document,
    all: &[Declared<T>],
    same: impl Fn(&T, &T) -> bool,
    name: impl Fn(&T) -> String,
) -> Result<(), Fault> {
    let same = |a: &Declared<T>, b: &Declared<T>| same(&a.value, &b.value);
    pairs(doc, all, |d| (d.valid, d.at), same, |d| name(&d.value))
}

fn pairs<T>(
    doc: &Document,
    all: &[T],
    when: impl Fn(&T) -> (Validity, Position),
    same: impl Fn(&T, &T) -> bool,
    name: impl Fn(&T) -> String,
) -> Result<(), Fault> {
    for (n, later) in all.iter().enumerate() {
        let (valid, at) = when(later);
        for earlier in &all[..n] {
            let (earlier_valid, earlier_at) = when(earlier);
            if same(earlier, later) && earlier_valid.intersection(&valid).is_some() {
                let line = earlier_at.line;
                let message = format!(
                    "{} is declared already on line {line} for the same time",
                    name(later)
                );
                let hint = "remove one, or let valid_to of the earlier be valid_from of the later";
                return Err(doc.fault_at(at, message, Some(hint.to_owned())));
            }
        }
    }
    Ok(())
}

fn same_user(a: &RegistryUser, b: &RegistryUser) -> bool {
    both_equal(&a.username, &b.username) || both_equal(&a.user_id, &b.user_id)
}

fn same_org_app(a: &OrgApp, b: &OrgApp) -> bool {
    match (&a.id, &b.id) {
        (Some(a), Some(b)) => a == b,
        _ => label(&a.name) == label(&b.name),
    }
}

fn same_app(a: &AllowedApp, b: &AllowedApp) -> bool {
    match (&a.id, &b.id) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.name.as_deref().map(label) == b.name.as_deref().map(label),
        // By name alone and by id: the one may widen the other on purpose.
        _ => false,
    }
}

fn label(name: &str) -> String {
    name.trim().to_lowercase()
}

fn both_equal(a: &Option<String>, b: &Option<String>) -> bool {
    a.is_some() && a == b
}
