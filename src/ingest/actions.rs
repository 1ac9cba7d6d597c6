//! ACTION_MESSAGE of an AuraRequest as a tally of the controller actions in it.
//!
//! The cell is a list of `n$scheme://package.Controller/ACTION$method=milliseconds`, separated by
//! semicolons, cut off by Salesforce where it is long. Kept is `Controller.method=count`, for names
//! that look like names of code. Whatever else a client got into the log becomes a placeholder
//! (`{name}`), so that no record data rides along, and what is no action is counted and skipped.

use hashbrown::HashMap;

use crate::catalog::sf_id18;

/// Most names in one tally; the actions of further ones are counted under [`OTHER`].
const NAMES: usize = 100;

/// Longest controller or method that is taken for a name of code.
const NAME_CHARS: usize = 80;

/// Most digits in a name of code.
const NAME_DIGITS: usize = 6;

/// Largest number in front of an action that is taken for how often it ran.
const TIMES: i64 = 1_000_000;

const PLACEHOLDER: &str = "{name}";
const OTHER: &str = "{other}";

/// What is kept of one cell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// `Controller.method=count`, sorted by name, separated by semicolons; empty where there is no
    /// action.
    pub text: String,
    /// Actions in the request.
    pub count: i64,
    /// Parts that are no action.
    pub malformed: i64,
}

/// Reads a cell, in time linear in its length and in bounded memory.
pub fn tally(cell: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let counts_times = !is_numbered(cell);
    let mut names: HashMap<String, i64> = HashMap::new();
    for part in parts(cell) {
        let Some((number, name)) = action(part) else {
            tally.malformed += 1;
            continue;
        };
        let times = if counts_times { number } else { 1 };
        let name = match names.len() < NAMES || names.contains_key(&name) {
            true => name,
            false => OTHER.to_owned(),
        };
        let seen = names.entry(name).or_default();
        *seen = seen.saturating_add(times);
        tally.count = tally.count.saturating_add(times);
    }
    let mut names: Vec<(String, i64)> = names.into_iter().collect();
    names.sort_unstable();
    let listed: Vec<String> = names
        .iter()
        .map(|(n, times)| format!("{n}={times}"))
        .collect();
    tally.text = listed.join(";");
    tally
}

fn parts(cell: &[u8]) -> impl Iterator<Item = &[u8]> {
    cell.trim_ascii()
        .split(|b| *b == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|part| !part.is_empty())
}

/// Whether the numbers in front are 1, 2, 3, … of three actions or more: then they are the places of
/// the actions, not how often each ran.
fn is_numbered(cell: &[u8]) -> bool {
    let mut numbers = parts(cell).filter_map(|part| action(part).map(|(number, _)| number));
    let mut count = 0;
    numbers.all(|number| {
        count += 1;
        number == count
    }) && count > 2
}

/// The number in front and the short name of a part; none where it is no action.
fn action(part: &[u8]) -> Option<(i64, String)> {
    let part = std::str::from_utf8(part).ok()?;
    let (number, rest) = part.split_once('$')?;
    let number: i64 = number.parse().ok().filter(|n| (1..=TIMES).contains(n))?;
    let (descriptor, time) = rest.rsplit_once('=')?;
    if time.is_empty() || !time.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let (scheme, path) = descriptor.split_once("://")?;
    if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let (controller, method) = path.split_once("/ACTION$")?;
    Some((number, short_name(controller, method)))
}

/// `Controller.method`, without packages. Where the method is a way to call another
/// (`execute(Class.method)`), that other one.
fn short_name(controller: &str, method: &str) -> String {
    let inner = method
        .strip_suffix(')')
        .and_then(|m| m.split_once('('))
        .and_then(|(_, inner)| inner.rsplit_once('.'));
    let (controller, method) = match inner {
        Some((class, method)) => (class, method),
        None => (controller, method),
    };
    // A path that holds anything but names of code is none, whatever its last piece.
    let controller = match controller.split('.').all(is_code_name) {
        true => controller.rsplit('.').next().unwrap_or(PLACEHOLDER),
        false => PLACEHOLDER,
    };
    let method = if is_code_name(method) {
        method
    } else {
        PLACEHOLDER
    };
    format!("{controller}.{method}")
}

/// Whether a text looks like the name of a package, class or method.
fn is_code_name(text: &str) -> bool {
    text.len() <= NAME_CHARS
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !looks_like_data(text)
}

/// Whether a word holds a record id or a long number rather than naming something.
fn looks_like_data(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > NAME_DIGITS || digits > 2 && sf_id18(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: &str = "serviceComponent://ui.force.components.controllers.lists.\
                         selectableListDataProvider.SelectableListDataProviderController";

    fn text(cell: &str) -> String {
        tally(cell.as_bytes()).text
    }

    #[test]
    fn actions_are_named_by_controller_and_method_and_counted() {
        let cell = format!(
            "40${LISTS}/ACTION$getItems=159;1$aura://RecordUiController/ACTION$updateRecord=574;\
             2${LISTS}/ACTION$getItems=3;"
        );
        let tally = tally(cell.as_bytes());
        assert_eq!(
            tally.text,
            "RecordUiController.updateRecord=1;SelectableListDataProviderController.getItems=42"
        );
        assert_eq!((tally.count, tally.malformed), (43, 0));
    }

    #[test]
    fn numbers_that_only_count_up_are_places_and_not_times() {
        let cell = "1$apex://A/ACTION$a=1;2$apex://A/ACTION$b=1;3$apex://A/ACTION$a=1";
        assert_eq!(text(cell), "A.a=2;A.b=1");
        assert_eq!(text("3$apex://A/ACTION$a=1"), "A.a=3");
        assert_eq!(
            text("1$apex://A/ACTION$a=1;2$apex://A/ACTION$b=1"),
            "A.a=1;A.b=2"
        );
    }

    #[test]
    fn a_call_by_another_call_is_named_by_what_it_called() {
        let cell = "1$aura://ApexActionController/ACTION$execute(ns.CaptchaController.getKey)=2";
        assert_eq!(text(cell), "CaptchaController.getKey=1");
    }

    #[test]
    fn what_is_no_action_is_counted_and_skipped() {
        for odd in [
            "garbage",
            "$aura://A/ACTION$b=1",
            "0$aura://A/ACTION$b=1",
            "-1$aura://A/ACTION$b=1",
            "99999999999999999999$aura://A/ACTION$b=1",
            "1$aura://A/ACTION$b",
            "1$aura://A/ACTION$b=x",
            "1$aura:A/ACTION$b=1",
            "1$aura://A/b=1",
            "1$://A/ACTION$b=1",
        ] {
            let found = tally(odd.as_bytes());
            assert_eq!(
                (found.text.as_str(), found.count, found.malformed),
                ("", 0, 1),
                "{odd}"
            );
        }
        let cut = format!("1${LISTS}/ACTION$getItems=12;1${LISTS}/ACT");
        assert_eq!(tally(cut.as_bytes()).malformed, 1);
        assert_eq!(tally(b"").malformed, 0);
        assert_eq!(tally(b"\xff$aura://A/ACTION$b=1;;").malformed, 1);
    }

    #[test]
    fn no_record_data_rides_along_in_a_name() {
        for data in [
            "jane@example.com",
            "Jane Doe",
            "0015e000003abcdAAA",
            "0015e000003abcd",
            "a015e000003abcdAAB",
            "x4111111111111111",
            "naïve",
            "<script>",
        ] {
            let cell = format!("1$apex://{data}/ACTION${data}=1");
            assert_eq!(text(&cell), "{name}.{name}=1", "{data}");
        }
        let long = "x".repeat(NAME_CHARS + 1);
        assert_eq!(text(&format!("1$apex://{long}/ACTION$a=1")), "{name}.a=1");
    }

    #[test]
    fn a_tally_is_bounded_and_misses_no_action() {
        let cell: String = (0..5_000)
            .map(|n| format!("1$apex://C{n}/ACTION$m=1;"))
            .collect();
        let tally = tally(cell.as_bytes());
        assert_eq!(tally.count, 5_000);
        assert!(tally.text.contains("{other}=4900"), "{}", tally.text);
        assert_eq!(tally.text.split(';').count(), NAMES + 1);
    }
}
