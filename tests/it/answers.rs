//! Answers of the API in JSON: stored as the same export in CSV is.

use crate::logs::Org;
use crate::roster::{BOB, ERP, ask};

#[test]
fn json_and_csv_of_one_export_are_stored_alike() {
    let csv = "Id,Username,IsActive,ProfileId,Profile.Name,CreatedDate\n\
         005000000000001AAA,int_erp@example.com,true,00e000000000001AAA,\"A, B\",2024-01-01T00:00:00.000+0000\n";
    let record = r#"{"attributes":{"type":"User","url":"/x"},"Id":"005000000000001AAA",
        "Username":"int_erp@example.com","IsActive":true,"ProfileId":"00e000000000001AAA",
        "Profile":{"attributes":{"type":"Profile"},"Name":"A, B"},"CreatedDate":"2024-01-01T00:00:00.000+0000"}"#;
    let one_line = record.replace('\n', "");
    let stored = |name: &str, text: &str| {
        let org = Org::new();
        let report = org.ingest(&[&org.file(name, text)]);
        assert_eq!(
            report.files[0].rows_kept, 1,
            "{name}: {:?}",
            report.files[0].reason
        );
        let mut row = org.rows("User")[0].clone();
        row.0
            .retain(|(name, _)| name != "row_key" && name != "line_no");
        row
    };
    let expected = stored("User_2026-01-15.csv", csv);
    assert_eq!(expected.get("profile_name"), "A, B");
    for (name, text) in [
        ("User_2026-01-15.json", format!("[{record}]")),
        ("User_2026-01-15.jsonl", format!("{one_line}\n")),
        (
            "User_2026-01-15.json",
            format!(r#"{{"totalSize":1,"done":true,"records":[{record}]}}"#),
        ),
        (
            "User_2026-01-15.json",
            format!(
                r#"{{"status":0,"result":{{"records":[{record}],"totalSize":1,"done":true}}}}"#
            ),
        ),
    ] {
        assert_eq!(stored(name, &text), expected, "{name}");
    }
}

#[test]
fn a_broken_json_record_goes_to_quarantine_by_its_number() {
    let org = Org::new();
    let line = |id: &str| format!(r#"{{"UserId":"{id}","IsFrozen":true}}"#);
    let text = format!("{}\n{{\"UserId\": oops\n{}\n", line(ERP), line(BOB));
    let report = org.ingest(&[&org.file("UserLogin_2026-01-15.jsonl", text)]);
    let file = &report.files[0];
    assert_eq!(
        (file.rows_read, file.rows_kept, file.rows_quarantined),
        (3, 2, 1)
    );
    let lines: Vec<_> = org
        .rows("UserLogin")
        .iter()
        .map(|r| r.get("line_no").to_owned())
        .collect();
    assert_eq!(lines, ["1", "3"]);
    assert_eq!(
        ask(&org, "SELECT line_no, reason FROM quarantine"),
        ["2|the record is not a JSON object"]
    );
}

#[test]
fn logs_are_read_from_json_too_and_count_once() {
    let org = Org::new();
    let history = r#"[{"attributes":{"type":"LoginHistory"},"Id":"0Ya000000000001AAA",
        "UserId":"005000000000001AAA","LoginTime":"2026-01-15T10:00:00.000+0000",
        "LoginType":"Remote Access 2.0","Status":"Success","SourceIp":"192.0.2.1"}]"#;
    let audit = r#"[{"attributes":{"type":"SetupAuditTrail"},"Id":"0Ym000000000001AAA",
        "Action":"resetpassword","Section":"Manage Users","CreatedDate":"2026-01-15T10:00:00.000+0000",
        "CreatedById":"005000000000002AAA","Display":"Password reset for Int_ERP@example.com.",
        "CreatedBy":{"Username":"bob@example.com"}}]"#;
    let csv = "Id,UserId,LoginTime,LoginType,Status,SourceIp\n\
         0Ya000000000001AAA,005000000000001AAA,2026-01-15T10:00:00.000+0000,Remote Access 2.0,Success,192.0.2.1\n";
    org.ingest(&[
        &org.file("history.json", history),
        &org.file("audit.json", audit),
    ]);
    let report = org.ingest(&[&org.file("history.csv", csv)]);
    assert_eq!(report.files.iter().map(|f| f.rows_kept).sum::<u64>(), 0);
    assert_eq!(org.rows("LoginHistory").len(), 1);
    let named = "SELECT action, mentions(mentioned_users, 'int_erp@example.com'),
             mentions(mentioned_users, 'INT_ERP@example.com '),
             mentions(mentioned_users, 'bob@example.com'), mentions(mentioned_users, NULL)
         FROM setup_audit_trail";
    assert_eq!(ask(&org, named), ["resetpassword|true|true|false|"]);
}

#[test]
fn the_audit_pages_sentence_names_users_as_well() {
    let org = Org::new();
    let page = "\"Date\",\"User\",\"Source Namespace Prefix\",\"Action\",\"Section\",\"Delegate User\"\n\
        \"2026-01-15T10:00:00Z\",\"bob@example.com\",\"\",\"For user int_erp@example.com, reset\npassword\",\"Users\",\"\"\n\
        \"2026-01-15T10:01:00Z\",\"bob@example.com\",\"\",\"Changed a thing\",\"Users\",\"\"\n";
    org.ingest(&[&org.file("audit.csv", page)]);
    let named = "SELECT action, mentions(mentioned_users, 'int_erp@example.com')
         FROM setup_audit_trail ORDER BY occurred_at";
    assert_eq!(ask(&org, named), ["|true", "|false"]);
}

#[test]
fn profile_ranges_come_from_settings_and_none_is_told_from_unknown() {
    let org = Org::new();
    let profile = |id: &str, ranges: &str| {
        format!(
            r#"{{"totalSize":1,"done":true,"records":[{{"attributes":{{"type":"Profile"}},
            "Id":"{id}","Name":"P","Metadata":{{"loginIpRanges":{ranges}}}}}]}}"#
        )
    };
    let one = r#"[{"startAddress":"198.51.100.0","endAddress":"198.51.100.15","description":"x"}]"#;
    let odd = r#"[{"startAddress":"somewhere","endAddress":"198.51.100.15"}]"#;
    org.ingest(&[
        &org.file("p1_2026-01-15.json", profile("00e000000000001AAA", one)),
        &org.file("p2_2026-01-15.json", profile("00e000000000002AAA", "null")),
        &org.file("p3_2026-01-15.json", profile("00e000000000003AAA", odd)),
    ]);
    let ranges = "SELECT profile_id, start_ip, end_ip FROM login_ip_ranges ORDER BY 1";
    assert_eq!(
        ask(&org, ranges),
        [
            "00e000000000001AAA|198.51.100.0|198.51.100.15",
            "00e000000000002AAA||",
        ]
    );
}

#[test]
fn policies_of_apps_are_told_in_one_vocabulary_and_unknown_stays_unknown() {
    let org = Org::new();
    let listed = "Id,Name,OptionsAllowAdminApprovedUsersOnly\n\
                  0H4000000000001CAA,ERP Sync,true\n0H4000000000002CAA,Other,false\n";
    let settings = r#"[{"fullName":"ERP_Sync","label":"ERP Sync","oauthConfig":{
        "scopes":["Api","RefreshToken","OpenID"],"isConsumerSecretOptional":true,"consumerKey":"x"},
        "oauthPolicy":{"ipRelaxation":"BYPASS","refreshTokenPolicy":"specific_lifetime:30:DAYS"}}]"#;
    let external = "externalClientApplication,ipRelaxationPolicyType,refreshTokenPolicyType,permittedUsersPolicyType\n\
                    Billing,Enforce,Infinite,AllSelfAuthorized\n";
    org.ingest(&[
        &org.file("ConnectedApplication_2026-01-15.csv", listed),
        &org.file("ConnectedApp_2026-01-14.json", settings),
        &org.file("eca_2026-01-15.csv", external),
    ]);
    let policies = "SELECT app_name, kind, admin_approved_only, ip_relaxation, refresh_policy,
             refresh_period_hours, scopes, secret_required
         FROM apps WHERE day = DATE '2026-01-15' ORDER BY 1";
    assert_eq!(
        ask(&org, policies),
        [
            "Billing|external|false|enforce|infinite|||",
            "ERP Sync|connected|true|relax|lifetime|720|api refresh_token openid|false",
            "Other|connected|false|||||",
        ]
    );
}
