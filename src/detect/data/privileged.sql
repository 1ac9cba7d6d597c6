-- Who holds a permission that opens the whole org: those that `integration-overprivileged` calls
-- dangerous. One row per name and span of days; what is before the first snapshot counts as it.
WITH
holders AS (
    SELECT DISTINCT
        user_key,
        username,
        CASE WHEN previous_day IS NULL THEN DATE '0001-01-01' ELSE day END AS from_day,
        next_day
    FROM permissions
    WHERE next_day > $first_day AND (day <= $last_day OR previous_day IS NULL)
      AND permission IN (
        'ModifyAllData', 'ViewAllData', 'ManageUsers', 'ManageInternalUsers', 'CustomizeApplication', 'AuthorApex',
        'ManageSharing', 'ManageAuthProviders', 'BulkApiHardDelete', 'UseAnyApiClient', 'UseAnyApiAuth',
        'ApproveUninstalledConnectedApps', 'TransactionSecurityExempt', 'ViewAllUsers', 'QueryAllFiles',
        'ManageEncryptionKeys'
      )
)
SELECT user_key AS name, from_day, next_day FROM holders
UNION
SELECT username AS name, from_day, next_day FROM holders
ORDER BY name, from_day, next_day
