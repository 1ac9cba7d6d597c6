-- A share of the whole: how old the TLS and API versions are.
SELECT tls_protocol, api_version, count(*) AS logins,
       count(*) * 100.0 / sum(count(*)) OVER () AS percent
FROM elf_login
GROUP BY tls_protocol, api_version ORDER BY logins DESC, tls_protocol, api_version LIMIT 30
