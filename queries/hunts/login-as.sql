/*
id = "login-as"
title = "Who acted as somebody else"
days = 90
*/
SELECT
    occurred_at, coalesce(lower(trim(delegated_user_name)), known_username(delegated_user_id), delegated_user_id) AS administrator,
    coalesce(known_username(user_id), user_id) AS acting_as, ip, login_key
FROM elf_login_as
WHERE occurred_at >= $window_start AND occurred_at < $window_end
ORDER BY occurred_at, administrator, acting_as, file_id, line_no
