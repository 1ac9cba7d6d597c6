/*
id = "bsides-fingerprint"
title = "An integration user's fingerprint that is new"
source = "Talks at BSides conferences on service accounts: a machine always comes from the same place with the same client"
claims = "A machine's identity is used by somebody else"
tier = "free"
severity = "medium"
notes = "The fingerprint is network, kind of client and door of a login. New is what a user of the role integration has not shown before, after its first seven days."
*/
WITH prints AS (
    SELECT
        user_key,
        concat_ws(' ', coalesce(network_of(ip), ip_kind), ua_family, login_path) AS print,
        CAST(occurred_at AS DATE) AS day
    FROM logins
    WHERE outcome = 'success' AND role = 'integration' AND user_key IS NOT NULL
),
firsts AS (
    SELECT user_key, print, min(day) AS day
    FROM prints
    GROUP BY user_key, print
),
judged AS (
    SELECT user_key, day, min(day) OVER (PARTITION BY user_key) AS began
    FROM firsts
)
SELECT DISTINCT day, user_key
FROM judged
WHERE day >= began + INTERVAL '7 days'
ORDER BY day, user_key
