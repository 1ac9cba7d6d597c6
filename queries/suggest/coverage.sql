/*
The days on which the logs told of any login or call, by anybody.
*/
SELECT day FROM logins WHERE occurred_at >= $since AND occurred_at < $until
UNION
SELECT day FROM api_calls WHERE occurred_at >= $since AND occurred_at < $until
ORDER BY day
