//! The one session of a run: signed in once, renewed by one of those who find it over while the
//! others wait, and by no more than three sign-ins.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::{Class, Identity, Retry, SalesforceError};
use crate::privacy::Secret;

/// Sign-ins of one run.
const MOST_LOGINS: u32 = 3;

/// What keeps a session open.
pub(super) struct Tokens {
    pub access: Secret,
    /// Where the org gave one unasked; never used.
    pub refresh: Option<Secret>,
}

/// What a sign-in gave.
pub(super) struct Session {
    /// Which of the run's sessions, from 1.
    pub number: u32,
    pub tokens: Tokens,
    /// `Bearer …`, marked as sensitive.
    pub bearer: HeaderValue,
    pub instance: Url,
    pub identity: Identity,
}

/// The session, if there is one, and how it came to be.
#[derive(Default)]
pub(super) struct Sessions(Mutex<State>);

#[derive(Default)]
struct State {
    current: Option<Arc<Session>>,
    logins: u32,
    /// A refusal that another attempt would only repeat, and Salesforce count.
    refusal: Option<SalesforceError>,
    /// Whose sessions these are, from the first on.
    identity: Option<Identity>,
}

impl Sessions {
    /// The session after number `over`, by `login` where there is none yet. Whoever comes while
    /// another one signs in waits for that one's session. `login` gets the session's number and
    /// the identity of those before.
    pub(super) async fn after(
        &self,
        over: u32,
        login: impl AsyncFnOnce(u32, Option<Identity>) -> Result<Session, SalesforceError>,
    ) -> Result<Arc<Session>, SalesforceError> {
        let mut state = self.0.lock().await;
        if let Some(session) = state.current.as_ref().filter(|one| one.number > over) {
            return Ok(session.clone());
        }
        if let Some(error) = state.refusal.as_ref().and_then(SalesforceError::lasting) {
            return Err(error);
        }
        state.current = None;
        if state.logins == MOST_LOGINS {
            let error = too_many();
            state.refusal = error.lasting();
            return Err(error);
        }
        state.logins += 1;
        match login(state.logins, state.identity.clone()).await {
            Ok(session) => {
                let session = Arc::new(session);
                state.identity = Some(session.identity.clone());
                state.current = Some(session.clone());
                Ok(session)
            }
            Err(error) => {
                state.refusal = error.lasting();
                Err(error)
            }
        }
    }

    /// Ends it here: what comes next signs in anew.
    pub(super) async fn take(&self) -> Option<Arc<Session>> {
        self.0.lock().await.current.take()
    }
}

fn too_many() -> SalesforceError {
    SalesforceError::SignIn {
        class: Class::Config,
        what: format!("the org ended the session again after {MOST_LOGINS} sign-ins"),
        code: None,
        fix: "look at the app's session policies, and whether something ends the sessions of this program's user".into(),
        retry: Retry::Never,
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions(***)")
    }
}
