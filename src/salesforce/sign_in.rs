//! Signing in: the token, whose it is, and its end.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{StatusCode, Url};

use super::answer::Words;
use super::authorize::Approval;
use super::client::JSON;
use super::oauth::{self, UserInfo};
use super::session::{Session, Tokens};
use super::{Class, Client, Retry, SalesforceError, address, http};
use crate::catalog::sf_id18;
use crate::config::canonical_username;
use crate::privacy::Secret;

/// How long the end of a session is waited for.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);

/// Signed in as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// 18 characters.
    pub org_id: String,
    /// 18 characters.
    pub user_id: String,
    /// In the form in which usernames are compared.
    pub username: String,
}

impl Client {
    /// Signs in, once for all, and checks that it is the right org and the right user.
    pub async fn sign_in(&self) -> Result<Identity, SalesforceError> {
        Ok(self.session(0).await?.identity.clone())
    }

    /// The same by what a person approved: once, for the life of this client.
    pub async fn sign_in_with(&self, approval: Approval) -> Result<Identity, SalesforceError> {
        self.grant.approve(approval);
        self.sign_in().await
    }

    /// Ends the session. Best effort, 5 s. Whether the org says that it is over.
    pub async fn revoke(&self) -> bool {
        briefly(async {
            match self.sessions.take().await {
                Some(session) => self.end(&session.tokens, &session.instance).await,
                None => true,
            }
        })
        .await
    }

    async fn end(&self, tokens: &Tokens, instance: &Url) -> bool {
        let mut is_over = self.revoke_token(&tokens.access, instance).await;
        if let Some(token) = &tokens.refresh {
            is_over &= self.revoke_token(token, instance).await;
        }
        is_over
    }

    async fn revoke_token(&self, token: &Secret, instance: &Url) -> bool {
        let url = address::with_path(instance, oauth::REVOKE_PATH);
        let form = [("token", token.expose())];
        let request = self.wire.whole.post(url).form(&form);
        let sent = self.wire.send(request, self.login.host()).await;
        sent.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// The session after number `over`, which is 0 for any.
    pub(super) async fn session(&self, over: u32) -> Result<Arc<Session>, SalesforceError> {
        let login = async |number, known| self.log_in(number, known).await;
        self.sessions.after(over, login).await
    }

    async fn log_in(
        &self,
        number: u32,
        known: Option<Identity>,
    ) -> Result<Session, SalesforceError> {
        let granted = match self.grant.is_repeatable() {
            true => self.retrying(async || self.ask_token().await).await?,
            false => self.ask_token().await?,
        };
        let instance = self.login.instance(&granted.instance_url, &self.hidden)?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", granted.access_token));
        let mut bearer = bearer.map_err(|_| SalesforceError::protocol("an unusable token"))?;
        bearer.set_sensitive(true);
        let identity = match known {
            Some(identity) => Ok(identity),
            None => self.identify(&bearer, &instance).await,
        };
        let tokens = Tokens {
            access: Secret::new(granted.access_token),
            refresh: granted.refresh_token.map(Secret::new),
        };
        match identity {
            Ok(identity) => Ok(Session {
                number,
                tokens,
                bearer,
                instance,
                identity,
            }),
            Err(error) => {
                briefly(self.end(&tokens, &instance)).await;
                Err(error)
            }
        }
    }

    async fn ask_token(&self) -> Result<oauth::Granted, SalesforceError> {
        let form = self
            .grant
            .form(&self.client_id, self.pace.now(), &self.hidden)?;
        let url = self.login.at(oauth::TOKEN_PATH);
        let request = self.wire.whole.post(url).header(ACCEPT, JSON).form(&form);
        let response = self.wire.send(request, self.login.host()).await?;
        self.hear(response.headers());
        if response.status() != StatusCode::OK {
            let said = http::said(response, self.pace.now()).await;
            let words = Words::of(&said.body);
            let (grant, skew) = (&self.grant, self.clock_skew());
            return Err(oauth::refused(&said, words, grant, skew, &self.hidden));
        }
        let body = self.wire.body(response, self.login.host()).await?;
        oauth::granted(&body, &self.hidden)
    }

    /// Who the session is, where it is who it should be.
    async fn identify(
        &self,
        bearer: &HeaderValue,
        instance: &Url,
    ) -> Result<Identity, SalesforceError> {
        let url = address::with_path(instance, oauth::USERINFO_PATH);
        let body = self.retrying(async || {
            let request = self.wire.whole.get(url.clone()).header(ACCEPT, JSON);
            let request = request.header(AUTHORIZATION, bearer.clone());
            let response = self.wire.send(request, self.login.host()).await?;
            self.hear(response.headers());
            if response.status() == StatusCode::OK {
                return self.wire.body(response, self.login.host()).await;
            }
            let said = http::said(response, self.pace.now()).await;
            Err(oauth::unidentified(&said, &self.hidden))
        });
        let info: UserInfo = serde_json::from_slice(&body.await?)
            .map_err(|_| SalesforceError::protocol("the org does not say who signed in"))?;
        let ids = sf_id18(&info.organization_id).zip(sf_id18(&info.user_id));
        let (org_id, user_id) =
            ids.ok_or_else(|| SalesforceError::protocol("the org has no id"))?;
        let username = canonical_username(&info.preferred_username);
        let wrong = |what: String, fix: &'static str| SalesforceError::SignIn {
            class: Class::Config,
            what,
            code: None,
            fix: fix.into(),
            retry: Retry::Never,
        };
        if let Some(expected) = self.org_id.as_ref().filter(|id| **id != org_id) {
            let what = format!("this is the org {org_id}, and `id` of [org] is {expected}");
            return Err(wrong(what, "check `login_url`, and `id` in [org]"));
        }
        if let Some(expected) = self.username.as_ref().filter(|name| **name != username) {
            let shown = self.hidden.shown(&username);
            let what = format!("signed in as {shown}, and `username` is {expected}");
            let fix = "check `username`, and the app's Run-As user";
            return Err(wrong(what, fix));
        }
        Ok(Identity {
            org_id,
            user_id,
            username,
        })
    }
}

/// A session that is not ended in time ends by itself.
async fn briefly(end: impl Future<Output = bool>) -> bool {
    let ended = tokio::time::timeout(REVOKE_PATIENCE, end).await;
    ended.unwrap_or(false)
}
