/*
Days for which the lake holds rows of a log, or held them until retention took them: where there is
no row here, nothing is known, which is not the same as nothing done.

event_type, day    log and UTC day
*/
SELECT event_type, day FROM parts WHERE event_type NOT LIKE 'rollup%'
UNION
SELECT event_type, day FROM departed_rows WHERE reason = 'retention'
