//! What the registry says of the org as a whole, as SQL tables.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::Registry;
use super::columns::{flags, optional, text, times};
use super::resolution::Resolution;

impl Registry {
    pub(super) fn org_apps_table(&self) -> Result<RecordBatch, ArrowError> {
        let each = || self.apps.iter();
        RecordBatch::try_from_iter_with_nullable([
            ("name", text(each().map(|app| app.name.clone())), false),
            ("id", optional(each().map(|app| app.id.clone())), true),
            (
                "vendor",
                optional(each().map(|app| app.vendor.clone())),
                true,
            ),
            ("grant", optional(each().map(|app| app.grant.clone())), true),
            (
                "system",
                optional(each().map(|app| app.system.clone())),
                true,
            ),
            ("mobile_sdk", flags(each().map(|app| app.mobile_sdk)), false),
            (
                "valid_from",
                times(each().map(|app| app.valid.from_ms)),
                false,
            ),
            ("valid_to", times(each().map(|app| app.valid.to_ms)), false),
        ])
    }

    pub(super) fn app_subjects_table(
        &self,
        resolution: &Resolution,
    ) -> Result<RecordBatch, ArrowError> {
        // An app may have several entries in time, and a user several names.
        let mut rows = BTreeSet::new();
        for app in &self.apps {
            for key in app
                .subjects
                .iter()
                .flat_map(|user| resolution.keys_of(user))
            {
                rows.insert((app.name.clone(), app.id.clone(), key));
            }
        }
        RecordBatch::try_from_iter_with_nullable([
            ("app_name", text(rows.iter().map(|r| r.0.clone())), false),
            ("app_id", optional(rows.iter().map(|r| r.1.clone())), true),
            ("user_key", text(rows.iter().map(|r| r.2.clone())), false),
        ])
    }

    pub(super) fn base_profiles_table(&self) -> Result<RecordBatch, ArrowError> {
        let profiles = self.org.base_profiles.iter();
        RecordBatch::try_from_iter_with_nullable([(
            "profile",
            text(profiles.map(|profile| profile.value.clone())),
            false,
        )])
    }

    pub(super) fn log_readers_table(
        &self,
        resolution: &Resolution,
    ) -> Result<RecordBatch, ArrowError> {
        let readers = self.org.log_readers.iter();
        let keys: BTreeSet<String> = readers
            .flat_map(|user| resolution.keys_of(&user.value))
            .collect();
        RecordBatch::try_from_iter_with_nullable([("user_key", text(keys.into_iter()), false)])
    }
}
