//! A day of a machine: logins, calls, jobs.

use chrono::{Datelike, NaiveDate};

use super::super::acts::{
    Act, AppSeen, Call, Deed, Door, Family, Hidden, Job, Keys, Login, Logout, Origin, SUCCESS, Text,
};
use super::super::book::Book;
use super::super::draw::Draw;
use super::super::moment::{
    HOUR, MINUTE, SECOND, is_working_day, local, local_day, local_hour, start_of,
};
use super::super::org::{Machine, Org, Rhythm, Role, Working, record_id};

/// Rows of a full page of a query's answer.
pub const PAGE_ROWS: u64 = 2000;

pub fn day(book: &mut Book<'_>, n: usize, day: NaiveDate) {
    let org = book.org;
    let machine = &org.machines[n];
    let name = format!("{n}");
    let mut shift = Shift {
        org,
        machine,
        draw: Draw::new(org.seed, &["machine's day", &name, &day.to_string()]),
        sessions: vec![],
        day,
    };
    let start = start_of(day);
    match machine.rhythm {
        Rhythm::Round { .. } | Rhythm::Office => shift.around_the_clock(book),
        Rhythm::Nightly {
            at,
            operation,
            jobs,
            pages,
        } => {
            let at = shift.due(at);
            shift.night_run(book, at, operation, jobs, pages);
        }
        Rhythm::Weekly { on, at } if day.weekday() == on => {
            let at = shift.due(at);
            shift.run_of_calls(book, at, 40 * MINUTE);
        }
        Rhythm::Daily { at } => shift.run_of_calls(book, start + at * MINUTE, 3 * MINUTE),
        Rhythm::Past { days } if (day - org.first_day).num_days() < days => {
            shift.run_of_calls(book, start + 9 * HOUR, HOUR);
        }
        Rhythm::Weekly { .. } | Rhythm::Past { .. } => {}
    }
}

struct Shift<'o> {
    org: &'o Org,
    machine: &'o Machine,
    draw: Draw,
    /// The session of each host, and until when it lasts.
    sessions: Vec<(Text, Keys, i64)>,
    day: NaiveDate,
}

impl Shift<'_> {
    /// The time of a run that is set for that minute of the day.
    fn due(&mut self, minute: i64) -> i64 {
        let jitter = self.draw.between(0, 50 * SECOND);
        let local_run = self.machine.local && self.machine.rhythm != Rhythm::Office;
        match local_run {
            true => local(self.org.zone, self.day, minute) + jitter,
            false => start_of(self.day) + minute * MINUTE + jitter,
        }
    }

    fn around_the_clock(&mut self, book: &mut Book<'_>) {
        let noise = (1.0 + 0.12 * self.draw.around()).clamp(0.6, 1.5);
        let season = self.machine.season(self.day);
        let start = start_of(self.day);
        for hour in 0..24 {
            let from = start + hour * HOUR;
            let zone = self.org.zone;
            let share = self
                .machine
                .share(local_day(zone, from), local_hour(zone, from));
            let volume = self.machine.working(from + HOUR / 2).volume;
            let n = self
                .draw
                .count(self.machine.calls * share * noise * season * volume);
            let mut times: Vec<i64> = (0..n)
                .map(|_| from + self.draw.between(0, HOUR - 1))
                .collect();
            times.sort_unstable();
            for at in times {
                self.call(book, at);
            }
            self.refusals(book, from);
        }
        if self.org.user(self.machine.user).role == Role::Ci && is_working_day(self.day) {
            self.pipeline(book);
        }
    }

    /// What the pipeline deploys, once or twice a day.
    fn pipeline(&mut self, book: &mut Book<'_>) {
        for _ in 0..1 + self.draw.below(2) {
            let mut at = local(self.org.zone, self.day, self.draw.between(9 * 60, 16 * 60));
            let working = self.machine.working(at);
            if working.silent {
                continue;
            }
            let (host, keys) = self.session(book, at, &working);
            for operation in ["meta_list", "meta_retrieve", "meta_deploy"] {
                at += self.draw.between(5, 90) * SECOND;
                let client = self.machine.client.clone();
                let deed = Deed::Metadata { client, operation };
                book.put(&self.act(at, &host, keys.clone(), deed), working.mark);
            }
        }
    }

    /// Logins that fail for as long as a change says so.
    fn refusals(&mut self, book: &mut Book<'_>, from: i64) {
        let refusing = |at| self.machine.working(at).refused.map(|(_, every)| every);
        let Some(every) = (0..12).find_map(|n| refusing(from + n * 5 * MINUTE)) else {
            return;
        };
        let mut at = from - from % every + every;
        while at < from + HOUR {
            let working = self.machine.working(at);
            if let Some((status, _)) = working.refused {
                let host = self.machine.host().clone();
                let at = at + self.draw.between(0, 900);
                self.log_in(book, at, &working, host, status);
            }
            at += every;
        }
    }

    fn call(&mut self, book: &mut Book<'_>, at: i64) {
        let working = self.machine.working(at);
        if working.silent || working.refused.is_some() {
            return;
        }
        let (host, keys) = self.session(book, at, &working);
        let call = self.usual_call(&working);
        let call = Act {
            at: at + 3 * SECOND,
            ..self.act(at, &host, keys, Deed::Call(call))
        };
        book.put(&call, working.mark);
    }

    /// A session that is alive, or a new one by a login right now.
    fn session(&mut self, book: &mut Book<'_>, at: i64, working: &Working) -> (Text, Keys) {
        let hosts = hosts(self.machine, working);
        let host = self.draw.pick(&hosts).clone();
        let known = self
            .sessions
            .iter()
            .position(|(h, _, end)| *h == host && at < *end);
        if let Some(n) = known {
            return (host, self.sessions[n].1.clone());
        }
        if let Some(n) = self.sessions.iter().position(|(h, _, _)| *h == host) {
            let (_, keys, end) = self.sessions.remove(n);
            if self.draw.chance(0.3) {
                let logout = Deed::Logout(Logout {
                    session_type: "O".into(),
                    user_type: "S",
                    high_assurance: false,
                    by_user: false,
                });
                let ended = Act {
                    at: end.min(at),
                    ..self.act(at, &host, keys, logout)
                };
                book.put(&ended, working.mark);
            }
        }
        let keys = self.log_in(book, at, working, host.clone(), SUCCESS);
        self.sessions.push((
            host.clone(),
            keys.clone(),
            at + self.machine.session - MINUTE,
        ));
        (host, keys)
    }

    fn log_in(
        &mut self,
        book: &mut Book<'_>,
        at: i64,
        working: &Working,
        host: Text,
        status: &'static str,
    ) -> Keys {
        let keys = Keys {
            login: self.draw.key(16).into(),
            session: self.draw.key(16).into(),
        };
        let app = app_seen(self.org, self.machine, working);
        let agent = working
            .agent
            .clone()
            .unwrap_or_else(|| self.machine.agent.clone());
        let login = Login {
            version: working.version.unwrap_or(self.machine.version).min(64),
            ..Login::new(self.machine.door, app, agent).ending(status)
        };
        let mut act = self.act(at, &host, keys.clone(), Deed::Login(login));
        // Salesforce often shows its own hop as CLIENT_IP, and now and then as SOURCE_IP.
        act.from.hidden = match self.draw.below(100) {
            0..=34 => Hidden::Client,
            35 => Hidden::Source,
            _ => Hidden::No,
        };
        book.put(&act, working.mark);
        keys
    }

    fn usual_call(&mut self, working: &Working) -> Call {
        let machine = self.machine;
        let objects = machine.objects.len() + working.objects.len();
        let n = self.draw.index(objects);
        let object = *machine
            .objects
            .get(n)
            .unwrap_or_else(|| &working.objects[n - machine.objects.len()]);
        let rows = 1 + self.draw.below(machine.rows * 2);
        let mut call = query_call(object, rows, working.version.unwrap_or(machine.version));
        match self.draw.below(10) {
            0..=5 => {}
            6 | 7 => {
                call.method = "GET";
                call.resource = record(object, &mut self.draw);
                call.rows = Some(1);
                call.query = "".into();
            }
            8 => {
                call.method = "PATCH";
                call.resource = record(object, &mut self.draw);
                call.rows = Some(1);
                call.query = "".into();
            }
            _ => {
                call.method = "POST";
                call.resource = format!("sobjects/{object}").into();
                call.rows = Some(1);
                call.query = "".into();
            }
        }
        // A service of one's own in Apex takes what the standard API cannot.
        if machine.system.starts_with("ERP") && self.draw.chance(0.06) {
            call.family = Family::ApexRest;
            call.method = "POST";
            call.resource = "OrderIntake/*".into();
            call.rows = Some(1);
            call.query = "".into();
        }
        if self.draw.chance(0.012) {
            call.status = 404;
            call.rows = Some(0);
        }
        call.bytes = call.rows.map(|rows| 180 + rows * 240);
        call.unique = self.draw.chance(0.05);
        if machine.door == Door::Soap {
            call.family = Family::Soap;
            call.method = if call.query.is_empty() {
                "update"
            } else {
                "query"
            };
        }
        call.client = machine.client.clone();
        call.agent_code = machine.agent_code.clone();
        call.app = app_seen(self.org, machine, working);
        // External Client Apps leave themselves out of many rows.
        if call.app.id.starts_with("888") && self.draw.chance(0.5) {
            call.app = AppSeen::default();
        }
        call
    }

    fn run_of_calls(&mut self, book: &mut Book<'_>, at: i64, span: i64) {
        let volume = self.machine.working(at).volume * self.machine.season(self.day);
        let n = self.draw.count(self.machine.calls * volume).max(1);
        let mut times: Vec<i64> = (0..n).map(|_| at + self.draw.between(0, span)).collect();
        times.sort_unstable();
        for at in times {
            self.call(book, at);
        }
    }

    fn night_run(
        &mut self,
        book: &mut Book<'_>,
        at: i64,
        operation: &'static str,
        jobs: u64,
        pages: u64,
    ) {
        let working = self.machine.working(at);
        if working.silent || working.refused.is_some() {
            self.refusals(book, at - at % HOUR);
            return;
        }
        let machine = self.machine;
        let (host, keys) = self.session(book, at, &working);
        let version = working.version.unwrap_or(machine.version);
        let app = app_seen(self.org, machine, &working);
        let times = working.volume * machine.season(self.day);
        let mut at = at + 5 * SECOND;
        let objects: Vec<_> = machine.objects.iter().chain(&working.objects).collect();
        for n in 0..jobs.max(working.objects.len() as u64) {
            let object = objects[n as usize % objects.len()];
            let noise = (1.0 + 0.1 * self.draw.around()).clamp(0.6, 1.5);
            let records = (machine.rows as f64 * noise * times) as u64;
            let job = Job {
                id: record_id("750", self.draw.below(900_000_000) as usize).into(),
                operation,
                entity: (*object).into(),
                state: "",
                records,
                version,
                app: app.clone(),
                client: machine.client.clone(),
                verb: "GET",
            };
            for (state, after, done, verb) in [
                ("UploadComplete", 0, 0, "POST"),
                ("InProgress", 40, records / 2, "GET"),
                ("JobComplete", 160, records, "GET"),
            ] {
                let deed = Deed::Job(Job {
                    state,
                    records: done,
                    verb,
                    ..job.clone()
                });
                let act = self.act(at + after * SECOND, &host, keys.clone(), deed);
                book.put(&act, working.mark);
            }
            at += 240 * SECOND;
        }
        for page in 0..(pages as f64 * times) as u64 {
            let object = objects[objects.len() - 1];
            let mut call = query_call(object, PAGE_ROWS, version);
            if page > 0 {
                call.resource = "query/01g5e00000000Aa-2000".into();
                call.query = "".into();
            }
            call.client = machine.client.clone();
            call.agent_code = machine.agent_code.clone();
            call.app = app.clone();
            let act = self.act(at, &host, keys.clone(), Deed::Call(call));
            book.put(&act, working.mark);
            at += self.draw.between(2, 6) * SECOND;
        }
        let calls = self.draw.count(machine.calls);
        for _ in 0..calls {
            at += self.draw.between(1, 30) * SECOND;
            self.call(book, at);
        }
    }

    fn act(&self, at: i64, host: &Text, keys: Keys, deed: Deed) -> Act {
        Act {
            at,
            user: Some(self.machine.user),
            from: Origin::new(host.clone(), self.machine.country.clone()),
            keys,
            deed,
        }
    }
}

/// Where a machine works from.
fn hosts(machine: &Machine, working: &Working) -> Vec<Text> {
    match working.site {
        Some(n) => machine
            .sites
            .get(n)
            .or(machine.sites.first())
            .map(|s| s.hosts.clone()),
        None => None,
    }
    .unwrap_or_else(|| machine.sites.iter().flat_map(|s| s.hosts.clone()).collect())
}

fn app_seen(org: &Org, machine: &Machine, working: &Working) -> AppSeen {
    let app = working.app.or(machine.app).and_then(|n| org.apps.get(n));
    app.map(|app| app.seen()).unwrap_or_default()
}

/// A query of so many rows of an object, by REST.
pub fn query_call(object: &str, rows: u64, version: u16) -> Call {
    Call {
        family: Family::Rest,
        method: "GET",
        resource: "query".into(),
        entity: object.into(),
        version,
        client: "".into(),
        app: AppSeen::default(),
        status: 200,
        rows: Some(rows),
        bytes: Some(180 + rows * 240),
        query: format!("SELECT Id, Name FROM {object} WHERE SystemModstamp > 2026-01-01T00:00:00Z")
            .into(),
        unique: false,
        category: "EXTERNAL_APPLICATION",
        agent_code: "9999".into(),
    }
}

fn record(object: &str, draw: &mut Draw) -> Text {
    format!(
        "sobjects/{object}/{}",
        record_id("001", draw.below(800_000_000) as usize)
    )
    .into()
}
