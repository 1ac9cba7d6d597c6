//! `orgwatch login`: a person signs in to the org once, through the browser, and learns whether app,
//! org and user fit and what that user may read. Nothing of the session is kept.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use super::exit::Exit;
use super::failure::UsageError;
use super::fetch::look_at;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{Global, HiddenNow, checks, interrupt};
use crate::config::{Salesforce, login_secrets};
use crate::doctor::{self, Check};
use crate::salesforce::{Approval, CALLBACK_PORT, Callback, Client, RealPace, SalesforceError};
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch login --config orgwatch.toml
  orgwatch login --port 8717 --no-browser      over SSH: ssh -L 8717:localhost:8717 HOST

Needs `login_url` and `client_id` of [salesforce], and an app with the callback URL
http://localhost:1717/OauthRedirect (with --port its number). Signs in once, asks each data set for
one row, and ends the session: nothing is fetched, no token is kept. A client secret, where the app
demands one, comes from `secret_file`, ORGWATCH_SALESFORCE_SECRET or a systemd credential.

Exit codes:
  0 signed in, nothing failed (warnings are shown)
  2 configuration, port taken, or the org or the person refuses
  3 nobody came back from the browser in time, the org cannot be reached, or something failed
  130 Ctrl-C; a session that was open is ended before";

#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Port of this machine that the browser comes back to
    #[arg(long, value_name = "N", default_value_t = CALLBACK_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Only print the address, and open no browser
    #[arg(long)]
    pub no_browser: bool,
    /// How long to wait for the browser
    #[arg(long, value_name = "MINUTES", default_value = "5", value_parser = parse_minutes)]
    pub timeout: Duration,
    /// One JSON array instead of lines for people (the same as --format json)
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &LoginArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let place = Workplace::open(terminal, global, args.now.now, &Flags::default())?;
    let Some(settings) = &place.settings.salesforce else {
        return Err(UsageError::new(
            "the configuration has no [salesforce]: there is no org to sign in to",
            "write [salesforce] with `login_url` and `client_id`; see README",
        )
        .into());
    };
    let client = client_of(settings, &place)?;
    let callback = Callback::listen(args.port)?;
    let url = callback.authorize_url(settings);
    invite(&callback, &url, settings, args.port, terminal);
    if terminal.err_is_terminal() && !args.no_browser && !open_browser(&url) {
        terminal.detail("no browser could be opened here");
    }
    let approval = callback.wait(args.timeout);
    if callback.strays() > 0 {
        let strays = counted(callback.strays(), "callback");
        terminal.warn(&format!(
            "refused {strays} that did not belong to this sign-in"
        ));
    }
    let Some(checks) = visit(&client, approval?, settings, &place)? else {
        return Ok(Exit::Interrupted);
    };
    checks::report(&checks, args.json, global, terminal)
}

fn client_of(settings: &Salesforce, place: &Workplace<'_>) -> anyhow::Result<Client> {
    let secrets = login_secrets(settings, &|name: &str| std::env::var_os(name))?;
    let org_id = place.settings.org.id.value.as_deref();
    let pace = Arc::new(RealPace::new(place.clock));
    Ok(Client::for_person(settings, org_id, secrets, pace)?)
}

/// Signs in, looks, and signs out. None where Ctrl-C came in between.
fn visit(
    client: &Client,
    approval: Approval,
    settings: &Salesforce,
    place: &Workplace<'_>,
) -> anyhow::Result<Option<Vec<Check>>> {
    // From the code on there may be a session, and that is ended whatever happens.
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let _diversion = interrupt::divert(move || stop.notify_one());
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let visited = runtime.block_on(async {
        let identity = client.sign_in_with(approval).await?;
        let seen = tokio::select! {
            seen = look_at(client, settings) => Some(seen),
            () = stopped.notified() => None,
        };
        Ok::<_, SalesforceError>((identity, seen, client.revoke().await))
    });
    let (identity, seen, is_over) = visited?;
    if seen.is_none() {
        let ended = doctor::sign_out(is_over);
        place.terminal.say(&format!("stopped; {}", ended.detail));
    }
    Ok(seen.map(|seen| {
        let mut checks = doctor::org(&seen, place.clock.now());
        // Behind the line that says who signed in.
        let visitor = doctor::visitor(&identity, settings.flow.username());
        checks.splice(1..1, visitor);
        checks.push(doctor::sign_out(is_over));
        checks
    }))
}

fn invite(callback: &Callback, url: &Url, settings: &Salesforce, port: u16, terminal: &Terminal) {
    let (server, back) = (settings.server(), callback.url());
    let text = format!(
        "To sign in to {server}, open this address in a browser:\n\n  {url}\n\n\
         The browser comes back to {back}, which the app must name as a callback URL.\n\
         A browser on another machine reaches it through SSH: ssh -L {port}:localhost:{port} HOST\n\
         Ctrl-C ends the wait."
    );
    // Fields of the log are cut shorter than addresses may be.
    let message = format!("to sign in, open this address in a browser: {url}");
    terminal.ask(&message, &text);
}

/// Whether a browser was started. Where there is no screen one of the terminal's own would come up
/// in our place.
fn open_browser(url: &Url) -> bool {
    let is_mac = cfg!(target_os = "macos");
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if !is_mac && !has_screen {
        return false;
    }
    let mut command = Command::new(if is_mac { "open" } else { "xdg-open" });
    for (name, _) in std::env::vars_os() {
        // Passwords and keys stand in variables of ours.
        if name.as_encoded_bytes().starts_with(b"ORGWATCH_") {
            command.env_remove(name);
        }
    }
    command
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for us, not for the browser.
        .process_group(0);
    // It may run for as long as the browser does: nobody waits for its end.
    command.spawn().is_ok()
}

fn parse_minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.parse::<f64>().ok();
    let minutes = minutes.filter(|minutes| (0.01..=60.0).contains(minutes));
    let minutes = minutes.ok_or("give minutes from 0.01 to 60")?;
    Ok(Duration::from_secs_f64(minutes * 60.0))
}
