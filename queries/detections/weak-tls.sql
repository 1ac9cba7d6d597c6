/*
id = "weak-tls"
title = "A login over an outdated TLS version or with a weak cipher"
family = "credential"
severity = "high"
status = "active"
version = 1
control = ["S1.4"]
attack = ["T1557", "T1040"]
description = """
Whoever sits on the way can read or change what goes over TLS 1.1 and older or over a broken cipher: passwords \
and tokens, too. A successful login below the least version is high. A failed one is low, and so is a weak \
cipher at an accepted version: RC4, DES, 3DES, NULL, EXPORT, MD5, or no forward secrecy up to TLS 1.2 (the \
suites of TLS 1.3 always have it, though their names do not say so). A version or cipher that the log does not \
tell is never called weak."""
false_positives = [
  "A proxy that ends TLS between client and Salesforce: the log shows the proxy's version; it is the proxy that has to change",
]
response = [
  "Find the client by user, app, address and User-Agent; its TLS library or runtime is years old",
  "Update it, or the proxy before it; then rotate the passwords and tokens that it sent",
  "A login that succeeded below TLS 1.2 contradicts what Salesforce says it accepts: keep the row and ask Salesforce support",
]
references = [
  "https://attack.mitre.org/techniques/T1557/",
  "https://attack.mitre.org/techniques/T1040/",
  "https://www.rfc-editor.org/rfc/rfc8996",
]
inputs = ["Login | LoginHistory"]
# Accepting a weak cipher must not hide an old version, nor failed tries a login.
dedupe = ["user_key", "weakness", "result"]
bucket = "day"

[params.min_tls]
type = "float"
default = 1.2
meaning = "least TLS version that is accepted"

[params.weak_cipher_patterns]
type = "text_list"
default = ["RC4", "3DES", "DES", "NULL", "EXPORT", "MD5"]
meaning = "parts of a cipher suite's name that make it weak, in capitals (regular expressions)"
*/
WITH
offered AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        CASE WHEN outcome = 'success' THEN 'signed in' ELSE 'failed' END AS result,
        app, ip, ua_family, login_path, tls_protocol, cipher_suite,
        -- `TLSv1.1`, `TLS 1.1`, `1.1`, `TLSv1` are versions; SSL is older than all of them; the rest says nothing.
        CASE
            WHEN regexp_like(trim(tls_protocol), '^ssl', 'i') THEN 0.0
            WHEN regexp_like(trim(tls_protocol), '^(tls)?[ _-]*v?[ ]*[0-9]([._][0-9])?$', 'i')
                THEN CAST(replace(regexp_replace(trim(tls_protocol), '^[^0-9]*', ''), '_', '.') AS DOUBLE)
        END AS version,
        -- A cell that says nothing is not the NULL cipher.
        CASE WHEN upper(trim(cipher_suite)) NOT IN ('', 'NULL', 'NONE', 'N/A', 'UNKNOWN')
             THEN upper(trim(cipher_suite)) END AS cipher,
        file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (tls_protocol IS NOT NULL OR cipher_suite IS NOT NULL)
      -- A name that is nobody's says nothing of our clients.
      AND NOT (outcome = 'failure' AND user_id IS NULL AND role_source = 'inferred'
               AND (coalesce(fail_class = 'unknown_user', false)
                    OR regexp_like(coalesce(status, ''), 'invalid[ _]username', 'i')))
),
rated AS (
    SELECT
        *,
        regexp_like(cipher, nullif(array_to_string($weak_cipher_patterns, '|'), '')) AS cipher_is_broken,
        -- DHE is part of ECDHE; EDH is its older spelling; suites of TLS 1.3 name no key exchange.
        version <= 1.2 AND NOT regexp_like(cipher, 'DHE|EDH|^TLS(13-|_)(AES|CHACHA20)') AS no_forward_secrecy
    FROM offered
),
weak AS (
    SELECT
        *,
        CASE
            WHEN version < $min_tls THEN 'old TLS version'
            WHEN cipher_is_broken OR no_forward_secrecy THEN 'weak cipher'
        END AS weakness
    FROM rated
    WHERE version < $min_tls OR cipher_is_broken OR no_forward_secrecy
),
by_day AS (
    SELECT
        user_key, day, weakness, result,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        array_agg(DISTINCT printable(trim(tls_protocol)) ORDER BY printable(trim(tls_protocol)))
            FILTER (WHERE trim(tls_protocol) <> '') AS tls_versions,
        array_slice(array_agg(DISTINCT printable(cipher) ORDER BY printable(cipher))
            FILTER (WHERE cipher IS NOT NULL), 1, 20) AS ciphers,
        coalesce(bool_or(cipher_is_broken), false) AS cipher_is_broken,
        coalesce(bool_or(no_forward_secrecy), false) AS no_forward_secrecy,
        array_slice(array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL), 1, 20) AS apps,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT login_path ORDER BY login_path) AS login_paths,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM weak
    GROUP BY user_key, day, weakness, result
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE
        WHEN weakness = 'weak cipher' OR result = 'failed' THEN 'low'
        -- An account that is only inferred to be an integration counts one level lower.
        WHEN role = 'integration' AND role_source = 'inferred' THEN 'medium'
        ELSE 'high'
    END AS severity,
    logins AS event_count,
    last_at,
    CASE weakness
        WHEN 'weak cipher' THEN 'Ciphers that are not broken and keep recorded traffic secret (ECDHE, or TLS 1.3)'
        ELSE 'TLS ' || $min_tls || ' or later'
    END AS expected,
    logins
        || CASE
               WHEN result = 'signed in' AND logins = 1 THEN ' login'
               WHEN result = 'signed in' THEN ' logins'
               WHEN logins = 1 THEN ' failed login'
               ELSE ' failed logins'
           END
        || ' over ' || coalesce(array_to_string(array_slice(tls_versions, 1, 5), ', '), 'a TLS version that is not told')
        || coalesce(' with ' || array_to_string(array_slice(ciphers, 1, 5), ', '), '')
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || coalesce(', app: ' || array_to_string(array_slice(apps, 1, 3), ', '), '')
        || CASE WHEN no_forward_secrecy THEN '; no forward secrecy: who records the traffic can read it once the key is known' ELSE '' END
        AS observed,
    role, role_source, system, owner,
    weakness, result, tls_versions, ciphers, cipher_is_broken, no_forward_secrecy, apps, ips, ua_families, login_paths,
    proof
FROM by_day
ORDER BY occurred_at, user_key, weakness, result
