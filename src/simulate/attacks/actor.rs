//! Somebody who acts under an identity from somewhere: the thief of a token, a person at a desk.

use super::super::acts::{
    Act, AppSeen, Call, Deed, Door, Job, Keys, Login, Logout, Origin, Page, PageKind, SUCCESS, Text,
};
use super::super::draw::Draw;
use super::super::life::query_call;
use super::super::moment::SECOND;
use super::super::org::{Machine, Org, record_id};

pub struct Actor {
    pub user: Option<usize>,
    pub app: AppSeen,
    pub from: Origin,
    pub agent: Text,
    pub version: u16,
    pub client: Text,
    pub agent_code: Text,
    pub door: Door,
    pub keys: Keys,
    pub acts: Vec<Act>,
}

impl Actor {
    /// Under a machine's identity, from an address of one's own, with one's own tools.
    pub fn as_machine(org: &Org, machine: &Machine, ip: &Text, country: &str, agent: &str) -> Self {
        let app = machine.app.and_then(|n| org.apps.get(n)).map(|a| a.seen());
        Self {
            user: Some(machine.user),
            app: app.unwrap_or_default(),
            from: Origin::new(ip.clone(), country),
            agent: agent.into(),
            version: machine.version,
            client: "".into(),
            agent_code: "9999".into(),
            door: machine.door,
            keys: Keys::default(),
            acts: vec![],
        }
    }

    /// A person in a browser.
    pub fn as_person(user: usize, ip: &Text, country: &str, agent: &str) -> Self {
        Self {
            user: Some(user),
            app: AppSeen::default(),
            from: Origin::new(ip.clone(), country),
            agent: agent.into(),
            version: 64,
            client: "".into(),
            agent_code: "9999".into(),
            door: Door::UiPassword,
            keys: Keys::default(),
            acts: vec![],
        }
    }

    pub fn put(&mut self, at: i64, deed: Deed) {
        self.acts.push(Act {
            at,
            user: self.user,
            from: self.from.clone(),
            keys: self.keys.clone(),
            deed,
        });
    }

    /// Keys of a session of one's own.
    pub fn new_keys(&mut self, draw: &mut Draw) {
        self.keys = Keys {
            login: draw.key(16).into(),
            session: draw.key(16).into(),
        };
    }

    pub fn log_in(&mut self, at: i64, draw: &mut Draw) {
        self.new_keys(draw);
        self.attempt(at, SUCCESS);
    }

    pub fn attempt(&mut self, at: i64, status: &'static str) {
        let login = Login {
            version: self.version,
            ..Login::new(self.door, self.app.clone(), self.agent.clone()).ending(status)
        };
        self.put(at, Deed::Login(login));
    }

    pub fn log_out(&mut self, at: i64, session_type: &str) {
        let logout = Logout {
            session_type: session_type.into(),
            user_type: "S",
            high_assurance: false,
            by_user: true,
        };
        self.put(at, Deed::Logout(logout));
    }

    /// A GET of something that is no query.
    pub fn get(&mut self, at: i64, resource: &str, object: &str) {
        let mut call = self.call(object, 0);
        call.resource = resource.into();
        call.rows = Some(1);
        call.bytes = Some(24_000);
        call.query = "".into();
        self.put(at, Deed::Call(call));
    }

    /// A query that reads so many rows of an object.
    pub fn query(&mut self, at: i64, object: &str, rows: u64, soql: &str) {
        let mut call = self.call(object, rows);
        call.query = soql.into();
        call.unique = true;
        self.put(at, Deed::Call(call));
    }

    /// The next page of a query's answer.
    pub fn page(&mut self, at: i64, object: &str, rows: u64, page: u64) {
        let mut call = self.call(object, rows);
        call.resource = format!("query/01g5e00000000Zz-{}", page * rows).into();
        call.query = "".into();
        self.put(at, Deed::Call(call));
    }

    pub fn call(&self, object: &str, rows: u64) -> Call {
        Call {
            client: self.client.clone(),
            app: self.app.clone(),
            agent_code: self.agent_code.clone(),
            ..query_call(object, rows, self.version)
        }
    }

    /// States of one bulk job, at the times given.
    pub fn job(
        &mut self,
        states: &[(i64, &'static str, u64, &'static str)],
        operation: &'static str,
        object: &str,
        draw: &mut Draw,
    ) {
        let job = Job {
            id: record_id("750", draw.below(900_000_000) as usize).into(),
            operation,
            entity: object.into(),
            state: "",
            records: 0,
            version: self.version,
            app: self.app.clone(),
            client: self.client.clone(),
            verb: "GET",
        };
        for (at, state, records, verb) in states {
            let deed = Deed::Job(Job {
                state,
                records: *records,
                verb,
                ..job.clone()
            });
            self.put(*at, deed);
        }
    }

    pub fn classic_page(&mut self, at: i64, path: &str) {
        let page = Page {
            kind: PageKind::Classic,
            what: path.into(),
            agent: self.agent.clone(),
        };
        self.put(at, Deed::Page(page));
    }

    pub fn record_page(&mut self, at: i64, object: &str) {
        let page = Page {
            kind: PageKind::Lightning,
            what: object.into(),
            agent: self.agent.clone(),
        };
        self.put(at, Deed::Page(page));
    }

    /// Pages of a browsing person, about one in so many milliseconds.
    pub fn browse(&mut self, from: i64, pages: u64, draw: &mut Draw) -> i64 {
        let mut at = from;
        for n in 0..pages {
            at += draw.between(4, 55) * SECOND;
            match n % 4 {
                0 => self.classic_page(at, "/lightning/page/home"),
                1 => self.record_page(at, "Account"),
                2 => self.classic_page(at, "/lightning/o/Contact/list"),
                _ => self.record_page(at, "Contact"),
            }
        }
        at
    }
}
