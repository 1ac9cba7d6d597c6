//! A fake Salesforce org to look at, on this machine:
//!
//! ```sh
//! cargo run --example fake-salesforce -- --into target/demo
//! orgwatch run --config target/demo/orgwatch.toml --now 2026-01-31T03:00:00Z
//! ```
//!
//! It hands out `sample-data/logs` as the sample org's own Salesforce would, on the night of
//! 31 January 2026, until it is stopped.

#[path = "mod.rs"]
mod fake_salesforce;

use std::fs;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use fake_salesforce::quirks::Gzip;
use fake_salesforce::sample_org::LOG_READER;
use fake_salesforce::{Action, CLIENT_ID, FakeSf, Fault, Scenario, USERNAME, time};

/// A fake Salesforce org on 127.0.0.1, until it is stopped
#[derive(Parser)]
struct Arguments {
    /// Port of its My Domain; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Write a configuration for it into this folder, with the keys that it names
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    /// Which org
    #[arg(long, value_enum, default_value_t = Org::Sample)]
    org: Org,

    /// What its clock says; it stands still
    #[arg(long, value_name = "TIME", default_value = fake_salesforce::clock::START)]
    now: String,

    /// Sends log files as over a line: about so many MB per second and file, not compressed
    #[arg(long, value_name = "MB")]
    rate: Option<NonZeroU32>,
}

/// Bytes that go out at once where there is a rate.
const PIECE: usize = 1 << 16;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Org {
    /// The org of `sample-data`: 35 days, with incidents
    Sample,
    /// Three days of a few rows
    Small,
    /// 2,500 files, one of them of 3 GB
    Big,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let sample = fake_salesforce::sample_folder();
    let (mut scenario, username) = match arguments.org {
        Org::Sample => (Scenario::sample(&sample), LOG_READER),
        Org::Small => (Scenario::org(), USERNAME),
        Org::Big => (Scenario::big(2500, 3 << 30), USERNAME),
    };
    scenario.state.clock.set(time(&arguments.now));
    if let Some(rate) = arguments.rate {
        scenario.state.quirks.gzip = Gzip::Never;
        let pause = Duration::from_secs_f64(PIECE as f64 / (f64::from(rate.get()) * 1e6));
        let slowly = Action::Drip {
            bytes: PIECE,
            pause,
        };
        scenario
            .state
            .faults
            .push(Fault::on("LogFile$").forever().does(slowly));
    }
    let fake = FakeSf::start_at(scenario, arguments.port);
    if let Some(folder) = &arguments.into {
        let registry = (arguments.org == Org::Sample).then(|| sample.join("registry.toml"));
        write_desk(&fake, folder, username, registry.as_deref())
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        println!("configuration: {}", folder.join("orgwatch.toml").display());
    }
    println!("My Domain:     {}", fake.login_url());
    println!("by TLS:        {}", fake.tls_url());
    println!("by mutual TLS: {}", fake.mtls_url());
    println!("control:       {}", fake.control_url());
    println!("its clock:     {}", arguments.now);
    println!("stop it with Ctrl-C");
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}

/// A folder in which `orgwatch run` works.
fn write_desk(
    fake: &FakeSf,
    folder: &Path,
    username: &str,
    registry: Option<&Path>,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for file in [fake.key_file(), fake.certificate_file(), fake.ca_pem_file()] {
        let name = file.file_name().unwrap_or_default();
        // With its mode: a key is its owner's only.
        fs::copy(&file, folder.join(name))?;
    }
    let mut registry_line = String::new();
    if let Some(registry) = registry {
        fs::copy(registry, folder.join("registry.toml"))?;
        registry_line = "\n[registry]\nfile = \"registry.toml\"\n".to_owned();
    }
    let url = fake.login_url();
    let org = fake.with(|state| state.org.id.clone());
    let config = format!(
        r#"# A night against the fake org. Everything is relative to this file.
[org]
name = "Acme Example Org"
id = "{org}"

[store]
data_dir = "out"

[salesforce]
login_url = "{url}"
plaintext = true                    # this machine only
client_id = "{CLIENT_ID}"
flow = "jwt"
username = "{username}"
key_file = "jwt.key"
certificate_file = "jwt.crt"
first_days = 40                     # all that the sample has
{registry_line}
[detect]
lookback_days = 40                  # one run looks at all of it

[alert.email]
transport = "file"                  # .eml files in out/outbox
from = "orgwatch@example.com"
to = ["security@example.com"]

[limits]
quarantine_ratio = 0.10             # the sample's file with the planted broken rows stays below it
"#
    );
    fs::write(folder.join("orgwatch.toml"), config)?;
    Ok(())
}
