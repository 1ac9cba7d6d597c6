//! A result as JSON: the score, and of each org what it takes to pool it with others.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::EvaluateError;
use super::org::Org;
use super::score::Score;

/// Of the result's layout; raised when an older reader would misread it.
const FORM: u64 = 1;

#[derive(Serialize)]
struct Written<'a> {
    form: u64,
    score: &'a Score,
    orgs: &'a [Org],
}

#[derive(Deserialize)]
struct Form {
    form: u64,
}

#[derive(Deserialize)]
struct Read {
    orgs: Vec<Org>,
}

pub fn to_result(orgs: &[Org], score: &Score) -> serde_json::Result<String> {
    serde_json::to_string(&Written {
        form: FORM,
        score,
        orgs,
    })
}

/// The orgs of a result. What it says of their score is worked out anew.
pub fn read_result(path: &Path, text: &str) -> Result<Vec<Org>, EvaluateError> {
    // The message of the parser could quote the file.
    let wrong = |error: serde_json::Error, what| EvaluateError::Result {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        what,
    };
    let form: Form = serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => wrong(error, "it does not say its `form`"),
        false => wrong(error, "it is no JSON"),
    })?;
    if form.form != FORM {
        return Err(EvaluateError::OtherForm {
            path: path.to_owned(),
            found: form.form,
            known: FORM,
        });
    }
    let read: Read = serde_json::from_str(text)
        .map_err(|error| wrong(error, "a value is missing, or of another kind"))?;
    Ok(read.orgs)
}

#[cfg(test)]
mod tests {
    use super::super::score;
    use super::*;

    #[test]
    fn a_result_is_read_as_it_was_written() {
        let org = Org {
            name: "labels.csv".to_owned(),
            integrations: 8,
            nights: 60,
            clean_nights: 50,
            unasked_nights: 0,
            suppressed: 1,
            judged: super::super::Judged {
                labels: vec![],
                findings: vec![],
            },
            comparators: vec![],
        };
        let orgs = vec![org];
        let text = to_result(&orgs, &score(&orgs)).unwrap();
        assert_eq!(read_result(Path::new("r.json"), &text).unwrap(), orgs);
    }

    #[test]
    fn what_is_no_result_is_refused_by_place_and_not_quoted() {
        let path = Path::new("r.json");
        let told = |text: &str| read_result(path, text).unwrap_err().to_string();
        for (text, place) in [
            ("{\"form\": SECRET}", "r.json:1:10: "),
            ("{\"SECRET\": 1}", "r.json:1:13: "),
            ("{\"form\": 1,\n \"orgs\": [\"SECRET\"]}", "r.json:2:18: "),
        ] {
            let message = told(text);
            assert!(message.starts_with(place), "{message}");
            assert!(!message.contains("SECRET"), "{message}");
        }
        assert!(told("{\"form\": 9}").contains("form 9"));
    }
}
