//! Labels and ids that mean one connected app.

use std::collections::BTreeMap;

use super::model::{App, Sight, label_key};

/// One spelling of an app as the logs show it.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenApp {
    pub id: Option<String>,
    pub label: Option<String>,
    pub shape: Option<String>,
    pub sight: Sight,
}

impl SeenApp {
    fn name_key(&self) -> Option<String> {
        self.label.as_deref().map(label_key)
    }
}

/// Groups spellings by id; a label alone belongs to the id that carries it on the most days, or
/// else stands for itself.
pub(super) fn apps_of(seen: Vec<SeenApp>) -> Vec<App> {
    let (with_id, bare): (Vec<_>, Vec<_>) = seen.into_iter().partition(|app| app.id.is_some());
    let mut by_id: BTreeMap<Option<String>, Vec<SeenApp>> = BTreeMap::new();
    for app in with_id {
        by_id.entry(app.id.clone()).or_default().push(app);
    }
    let mut by_name: BTreeMap<Option<String>, Vec<SeenApp>> = BTreeMap::new();
    for app in bare {
        let owner = by_id
            .iter()
            .flat_map(|(id, spellings)| spellings.iter().map(move |own| (id, own)))
            .filter(|(_, own)| own.label.is_some() && own.name_key() == app.name_key())
            .max_by_key(|(id, own)| (own.sight.days.len(), std::cmp::Reverse(*id)))
            .map(|(id, _)| id.clone());
        match owner.and_then(|id| by_id.get_mut(&id)) {
            Some(spellings) => spellings.push(app),
            None => by_name.entry(app.name_key()).or_default().push(app),
        }
    }
    by_id
        .into_values()
        .chain(by_name.into_values())
        .map(one_app)
        .collect()
}

fn one_app(spellings: Vec<SeenApp>) -> App {
    let mut app = App::default();
    let mut labels: BTreeMap<String, Sight> = BTreeMap::new();
    let mut best = 0;
    for own in spellings {
        app.sight.add(&own.sight);
        if own.label.is_some() && own.sight.days.len() > best {
            best = own.sight.days.len();
            app.name_key = own.name_key();
            app.shape.clone_from(&own.shape);
        }
        app.id = app.id.or(own.id);
        if let Some(label) = own.label {
            labels.entry(label).or_default().add(&own.sight);
        }
    }
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort_by_key(|(label, sight)| (std::cmp::Reverse(sight.days.len()), label.clone()));
    app.labels = labels.into_iter().map(|(label, _)| label).collect();
    app
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn seen(id: &str, label: &str, days: u32) -> SeenApp {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let day = |n| NaiveDate::from_ymd_opt(2026, 1, n).unwrap();
        SeenApp {
            id: some(id),
            label: some(label),
            shape: None,
            sight: Sight {
                days: (1..=days).map(day).collect(),
                logins: 1,
                calls: 0,
            },
        }
    }

    fn shown(seen: Vec<SeenApp>) -> Vec<String> {
        let apps = apps_of(seen);
        let each = apps.iter().map(|app| {
            let id = app.id.as_deref().unwrap_or("-");
            format!("{id} {} {}", app.labels.join("/"), app.sight.days.len())
        });
        each.collect()
    }

    #[test]
    fn a_login_that_knows_the_label_alone_belongs_to_the_app_that_carries_it_most() {
        let both = vec![
            seen("", "ERP Sync", 20),
            seen("0H4a", "ERP Sync", 1),
            seen("0H4b", "ERP Sync", 10),
            seen("", "erp sync ", 2),
            seen("", "Other", 3),
        ];
        let expected = ["0H4a ERP Sync 1", "0H4b ERP Sync/erp sync  20", "- Other 3"];
        assert_eq!(shown(both.clone()), expected);
        assert_eq!(shown(both.into_iter().rev().collect()), expected);
    }

    #[test]
    fn a_label_in_look_alike_letters_is_an_app_of_its_own() {
        let both = vec![seen("0H4a", "ERP Sync", 9), seen("", "\u{ff25}RP Sync", 1)];
        assert_eq!(shown(both), ["0H4a ERP Sync 9", "- \u{ff25}RP Sync 1"]);
    }

    #[test]
    fn an_app_that_was_renamed_is_one_app_under_its_commonest_label() {
        let renamed = vec![seen("0H4a", "HR Feed v2", 1), seen("0H4a", "HR Feed", 9)];
        assert_eq!(shown(renamed), ["0H4a HR Feed/HR Feed v2 9"]);
        assert_eq!(shown(vec![seen("0H4a", "", 1)]), ["0H4a  1"]);
    }
}
