/*
Which permissions each user has in effect: one row per roster day, user, permission and what grants
it. Effective: a group grants what is left after muting, an expired assignment nothing.

permission         without its prefix: ModifyAllData, ApiUserOnly, IsSsoEnabled, …
source_kind        profile | permission_set | group
source_id, source_name              the profile, the permission set (its label) or the group
file_id, line_no   the row of the profile or permission set that has the permission
The other columns are those of `users`.
*/
WITH sets AS (
    SELECT
        a.day,
        a.next_day,
        a.snapshot_day,
        s.id,
        s.isownedbyprofile,
        s.profileid,
        s.profile_name,
        s.file_id,
        s.line_no,
        make_array(
            CASE WHEN s.permissionsmodifyalldata THEN 'ModifyAllData' END,
            CASE WHEN s.permissionsviewalldata THEN 'ViewAllData' END,
            CASE WHEN s.permissionsmanageusers THEN 'ManageUsers' END,
            CASE WHEN s.permissionsmanageinternalusers THEN 'ManageInternalUsers' END,
            CASE WHEN s.permissionscustomizeapplication THEN 'CustomizeApplication' END,
            CASE WHEN s.permissionsauthorapex THEN 'AuthorApex' END,
            CASE WHEN s.permissionsmanagesharing THEN 'ManageSharing' END,
            CASE WHEN s.permissionsmanageauthproviders THEN 'ManageAuthProviders' END,
            CASE WHEN s.permissionsbulkapiharddelete THEN 'BulkApiHardDelete' END,
            CASE WHEN s.permissionsuseanyapiclient THEN 'UseAnyApiClient' END,
            CASE WHEN s.permissionsuseanyapiauth THEN 'UseAnyApiAuth' END,
            CASE WHEN s.permissionsapproveuninstalledconnectedapps THEN 'ApproveUninstalledConnectedApps' END,
            CASE WHEN s.permissionstransactionsecurityexempt THEN 'TransactionSecurityExempt' END,
            CASE WHEN s.permissionsviewallusers THEN 'ViewAllUsers' END,
            CASE WHEN s.permissionsqueryallfiles THEN 'QueryAllFiles' END,
            CASE WHEN s.permissionsmanageencryptionkeys THEN 'ManageEncryptionKeys' END,
            CASE WHEN s.permissionsapienabled THEN 'ApiEnabled' END,
            CASE WHEN s.permissionsapiuseronly THEN 'ApiUserOnly' END,
            CASE WHEN s.permissionsisssoenabled THEN 'IsSsoEnabled' END,
            CASE WHEN s.permissionspasswordneverexpires THEN 'PasswordNeverExpires' END,
            CASE WHEN s.permissionsviewsetup THEN 'ViewSetup' END,
            CASE WHEN s.permissionsmanageprofilespermissionsets THEN 'ManageProfilesPermissionsets' END,
            CASE WHEN s.permissionsassignpermissionsets THEN 'AssignPermissionSets' END,
            CASE WHEN s.permissionsresetpasswords THEN 'ResetPasswords' END,
            CASE WHEN s.permissionsfreezeusers THEN 'FreezeUsers' END,
            CASE WHEN s.permissionsmanagesessionpermissionsets THEN 'ManageSessionPermissionSets' END,
            CASE WHEN s.permissionsvieweventlogfiles THEN 'ViewEventLogFiles' END,
            CASE WHEN s.permissionsdeleteeventmonitoring THEN 'DeleteEventMonitoring' END,
            CASE WHEN s.permissionsdeleteeventmonitoringrecords THEN 'DeleteEventMonitoringRecords' END,
            CASE WHEN s.permissionsviewrealtimeeventmonitoringdata THEN 'ViewRealTimeEventMonitoringData' END,
            CASE WHEN s.permissionsmanageremoteaccess THEN 'ManageRemoteAccess' END,
            CASE WHEN s.permissionsmanageipaddresses THEN 'ManageIpAddresses' END,
            CASE WHEN s.permissionsmanagepasswordpolicies THEN 'ManagePasswordPolicies' END,
            CASE WHEN s.permissionsmanageloginaccesspolicies THEN 'ManageLoginAccessPolicies' END,
            CASE WHEN s.permissionsmanageroles THEN 'ManageRoles' END,
            CASE WHEN s.permissionsmanagetwofactor THEN 'ManageTwoFactor' END,
            CASE WHEN s.permissionsforcetwofactor THEN 'ForceTwoFactor' END,
            CASE WHEN s.permissionstwofactorapi THEN 'TwoFactorApi' END,
            CASE WHEN s.permissionsdelegatedtwofactor THEN 'DelegatedTwoFactor' END,
            CASE WHEN s.permissionsbypassmfaforuilogins THEN 'BypassMFAForUiLogins' END,
            CASE WHEN s.permissionsmodifymetadata THEN 'ModifyMetadata' END,
            CASE WHEN s.permissionsinstallpackaging THEN 'InstallPackaging' END,
            CASE WHEN s.permissionscreatepackaging THEN 'CreatePackaging' END,
            CASE WHEN s.permissionspublishpackaging THEN 'PublishPackaging' END,
            CASE WHEN s.permissionsmanagecertificates THEN 'ManageCertificates' END,
            CASE WHEN s.permissionsmanagenamedcredentials THEN 'ManageNamedCredentials' END,
            CASE WHEN s.permissionsmanagesandboxes THEN 'ManageSandboxes' END,
            CASE WHEN s.permissionsmanagedataintegrations THEN 'ManageDataIntegrations' END,
            CASE WHEN s.permissionsdataexport THEN 'DataExport' END,
            CASE WHEN s.permissionsexportreport THEN 'ExportReport' END,
            CASE WHEN s.permissionsviewencrypteddata THEN 'ViewEncryptedData' END,
            CASE WHEN s.permissionsviewallprofiles THEN 'ViewAllProfiles' END,
            CASE WHEN s.permissionsviewroles THEN 'ViewRoles' END,
            CASE WHEN s.permissionsviewhealthcheck THEN 'ViewHealthCheck' END,
            CASE WHEN s.permissionsmanagehealthcheck THEN 'ManageHealthCheck' END,
            CASE WHEN s.permissionsmanagesecuritycenter THEN 'ManageSecurityCenter' END,
            CASE WHEN s.permissionsviewsecuritycenter THEN 'ViewSecurityCenter' END,
            CASE WHEN s.permissionsmanagesecuritycommandcenter THEN 'ManageSecurityCommandCenter' END,
            CASE WHEN s.permissionsviewsecuritycommandcenter THEN 'ViewSecurityCommandCenter' END,
            CASE WHEN s.permissionsmonitorloginhistory THEN 'MonitorLoginHistory' END,
            CASE WHEN s.permissionsmanagenetworks THEN 'ManageNetworks' END,
            CASE WHEN s.permissionsmanagecustompermissions THEN 'ManageCustomPermissions' END,
            CASE WHEN s.permissionsmanageexternalconnections THEN 'ManageExternalConnections' END,
            CASE WHEN s.permissionseditreadonlyfields THEN 'EditReadonlyFields' END,
            CASE WHEN s.permissionsmodifydataclassification THEN 'ModifyDataClassification' END,
            CASE WHEN s.permissionsviewdataleakageevents THEN 'ViewDataLeakageEvents' END,
            CASE WHEN s.permissionsmanagereleaseupdates THEN 'ManageReleaseUpdates' END,
            CASE WHEN s.permissionsimportcustomobjects THEN 'ImportCustomObjects' END,
            CASE WHEN s.permissionsprivacydataaccess THEN 'PrivacyDataAccess' END,
            CASE WHEN s.permissionscontentadministrator THEN 'ContentAdministrator' END,
            CASE WHEN s.permissionsmanagecontentpermissions THEN 'ManageContentPermissions' END,
            CASE WHEN s.permissionsmanagefilesandattachments THEN 'ManageFilesAndAttachments' END,
            CASE WHEN s.permissionscreateauditfields THEN 'CreateAuditFields' END,
            CASE WHEN s.permissionsupdatewithinactiveowner THEN 'UpdateWithInactiveOwner' END,
            CASE WHEN s.permissionsrunflow THEN 'RunFlow' END,
            CASE WHEN s.permissionsmanageinteraction THEN 'ManageInteraction' END,
            CASE WHEN s.permissionsviewflowusageandfloweventdata THEN 'ViewFlowUsageAndFlowEventData' END,
            CASE WHEN s.permissionsdebugapex THEN 'DebugApex' END,
            CASE WHEN s.permissionslightningexperienceuser THEN 'LightningExperienceUser' END
        ) AS granted
    FROM roster_as_of AS a
    INNER JOIN roster_permission_set AS s ON s.file_id = a.file_id AND s.day = a.snapshot_day
    WHERE a.data_set = 'PermissionSet'
),
set_grants AS (
    SELECT day, next_day, id, file_id, line_no, unnest(granted) AS permission
    FROM sets
    WHERE id IS NOT NULL
),
-- A profile is known by its own row or by the hidden permission set that it has; the newer counts.
profile_rows AS (
    SELECT
        a.day, a.next_day, a.snapshot_day, 1 AS preference, p.id, p.name, p.file_id, p.line_no,
        make_array(
            CASE WHEN p.permissionsmodifyalldata THEN 'ModifyAllData' END,
            CASE WHEN p.permissionsviewalldata THEN 'ViewAllData' END,
            CASE WHEN p.permissionsmanageusers THEN 'ManageUsers' END,
            CASE WHEN p.permissionsmanageinternalusers THEN 'ManageInternalUsers' END,
            CASE WHEN p.permissionscustomizeapplication THEN 'CustomizeApplication' END,
            CASE WHEN p.permissionsauthorapex THEN 'AuthorApex' END,
            CASE WHEN p.permissionsmanagesharing THEN 'ManageSharing' END,
            CASE WHEN p.permissionsmanageauthproviders THEN 'ManageAuthProviders' END,
            CASE WHEN p.permissionsbulkapiharddelete THEN 'BulkApiHardDelete' END,
            CASE WHEN p.permissionsuseanyapiclient THEN 'UseAnyApiClient' END,
            CASE WHEN p.permissionsuseanyapiauth THEN 'UseAnyApiAuth' END,
            CASE WHEN p.permissionsapproveuninstalledconnectedapps THEN 'ApproveUninstalledConnectedApps' END,
            CASE WHEN p.permissionstransactionsecurityexempt THEN 'TransactionSecurityExempt' END,
            CASE WHEN p.permissionsviewallusers THEN 'ViewAllUsers' END,
            CASE WHEN p.permissionsqueryallfiles THEN 'QueryAllFiles' END,
            CASE WHEN p.permissionsmanageencryptionkeys THEN 'ManageEncryptionKeys' END,
            CASE WHEN p.permissionsapienabled THEN 'ApiEnabled' END,
            CASE WHEN p.permissionsapiuseronly THEN 'ApiUserOnly' END,
            CASE WHEN p.permissionsisssoenabled THEN 'IsSsoEnabled' END,
            CASE WHEN p.permissionspasswordneverexpires THEN 'PasswordNeverExpires' END,
            CASE WHEN p.permissionsviewsetup THEN 'ViewSetup' END,
            CASE WHEN p.permissionsmanageprofilespermissionsets THEN 'ManageProfilesPermissionsets' END,
            CASE WHEN p.permissionsassignpermissionsets THEN 'AssignPermissionSets' END,
            CASE WHEN p.permissionsresetpasswords THEN 'ResetPasswords' END,
            CASE WHEN p.permissionsfreezeusers THEN 'FreezeUsers' END,
            CASE WHEN p.permissionsmanagesessionpermissionsets THEN 'ManageSessionPermissionSets' END,
            CASE WHEN p.permissionsvieweventlogfiles THEN 'ViewEventLogFiles' END,
            CASE WHEN p.permissionsdeleteeventmonitoring THEN 'DeleteEventMonitoring' END,
            CASE WHEN p.permissionsdeleteeventmonitoringrecords THEN 'DeleteEventMonitoringRecords' END,
            CASE WHEN p.permissionsviewrealtimeeventmonitoringdata THEN 'ViewRealTimeEventMonitoringData' END,
            CASE WHEN p.permissionsmanageremoteaccess THEN 'ManageRemoteAccess' END,
            CASE WHEN p.permissionsmanageipaddresses THEN 'ManageIpAddresses' END,
            CASE WHEN p.permissionsmanagepasswordpolicies THEN 'ManagePasswordPolicies' END,
            CASE WHEN p.permissionsmanageloginaccesspolicies THEN 'ManageLoginAccessPolicies' END,
            CASE WHEN p.permissionsmanageroles THEN 'ManageRoles' END,
            CASE WHEN p.permissionsmanagetwofactor THEN 'ManageTwoFactor' END,
            CASE WHEN p.permissionsforcetwofactor THEN 'ForceTwoFactor' END,
            CASE WHEN p.permissionstwofactorapi THEN 'TwoFactorApi' END,
            CASE WHEN p.permissionsdelegatedtwofactor THEN 'DelegatedTwoFactor' END,
            CASE WHEN p.permissionsbypassmfaforuilogins THEN 'BypassMFAForUiLogins' END,
            CASE WHEN p.permissionsmodifymetadata THEN 'ModifyMetadata' END,
            CASE WHEN p.permissionsinstallpackaging THEN 'InstallPackaging' END,
            CASE WHEN p.permissionscreatepackaging THEN 'CreatePackaging' END,
            CASE WHEN p.permissionspublishpackaging THEN 'PublishPackaging' END,
            CASE WHEN p.permissionsmanagecertificates THEN 'ManageCertificates' END,
            CASE WHEN p.permissionsmanagenamedcredentials THEN 'ManageNamedCredentials' END,
            CASE WHEN p.permissionsmanagesandboxes THEN 'ManageSandboxes' END,
            CASE WHEN p.permissionsmanagedataintegrations THEN 'ManageDataIntegrations' END,
            CASE WHEN p.permissionsdataexport THEN 'DataExport' END,
            CASE WHEN p.permissionsexportreport THEN 'ExportReport' END,
            CASE WHEN p.permissionsviewencrypteddata THEN 'ViewEncryptedData' END,
            CASE WHEN p.permissionsviewallprofiles THEN 'ViewAllProfiles' END,
            CASE WHEN p.permissionsviewroles THEN 'ViewRoles' END,
            CASE WHEN p.permissionsviewhealthcheck THEN 'ViewHealthCheck' END,
            CASE WHEN p.permissionsmanagehealthcheck THEN 'ManageHealthCheck' END,
            CASE WHEN p.permissionsmanagesecuritycenter THEN 'ManageSecurityCenter' END,
            CASE WHEN p.permissionsviewsecuritycenter THEN 'ViewSecurityCenter' END,
            CASE WHEN p.permissionsmanagesecuritycommandcenter THEN 'ManageSecurityCommandCenter' END,
            CASE WHEN p.permissionsviewsecuritycommandcenter THEN 'ViewSecurityCommandCenter' END,
            CASE WHEN p.permissionsmonitorloginhistory THEN 'MonitorLoginHistory' END,
            CASE WHEN p.permissionsmanagenetworks THEN 'ManageNetworks' END,
            CASE WHEN p.permissionsmanagecustompermissions THEN 'ManageCustomPermissions' END,
            CASE WHEN p.permissionsmanageexternalconnections THEN 'ManageExternalConnections' END,
            CASE WHEN p.permissionseditreadonlyfields THEN 'EditReadonlyFields' END,
            CASE WHEN p.permissionsmodifydataclassification THEN 'ModifyDataClassification' END,
            CASE WHEN p.permissionsviewdataleakageevents THEN 'ViewDataLeakageEvents' END,
            CASE WHEN p.permissionsmanagereleaseupdates THEN 'ManageReleaseUpdates' END,
            CASE WHEN p.permissionsimportcustomobjects THEN 'ImportCustomObjects' END,
            CASE WHEN p.permissionsprivacydataaccess THEN 'PrivacyDataAccess' END,
            CASE WHEN p.permissionscontentadministrator THEN 'ContentAdministrator' END,
            CASE WHEN p.permissionsmanagecontentpermissions THEN 'ManageContentPermissions' END,
            CASE WHEN p.permissionsmanagefilesandattachments THEN 'ManageFilesAndAttachments' END,
            CASE WHEN p.permissionscreateauditfields THEN 'CreateAuditFields' END,
            CASE WHEN p.permissionsupdatewithinactiveowner THEN 'UpdateWithInactiveOwner' END,
            CASE WHEN p.permissionsrunflow THEN 'RunFlow' END,
            CASE WHEN p.permissionsmanageinteraction THEN 'ManageInteraction' END,
            CASE WHEN p.permissionsviewflowusageandfloweventdata THEN 'ViewFlowUsageAndFlowEventData' END,
            CASE WHEN p.permissionsdebugapex THEN 'DebugApex' END,
            CASE WHEN p.permissionslightningexperienceuser THEN 'LightningExperienceUser' END
        ) AS granted
    FROM roster_as_of AS a
    INNER JOIN roster_profile AS p ON p.file_id = a.file_id AND p.day = a.snapshot_day
    WHERE a.data_set = 'Profile' AND p.id IS NOT NULL
    UNION ALL
    SELECT
        day, next_day, snapshot_day, 2 AS preference, profileid AS id, profile_name AS name,
        file_id, line_no, granted
    FROM sets
    WHERE isownedbyprofile AND profileid IS NOT NULL
),
profile_grants AS (
    SELECT day, next_day, id, name, file_id, line_no, unnest(granted) AS permission
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY day, next_day, id
                ORDER BY snapshot_day DESC, preference, file_id DESC, line_no
            ) AS nth
        FROM profile_rows
    )
    WHERE nth = 1
)
SELECT
    u.day,
    u.previous_day,
    u.next_day,
    u.user_key,
    u.user_id,
    u.username,
    u.role,
    u.role_source,
    u.system,
    u.owner,
    u.is_active,
    u.is_platform_user,
    g.permission,
    'profile' AS source_kind,
    u.profile_id AS source_id,
    coalesce(u.profile_name, g.name) AS source_name,
    g.file_id,
    g.line_no
FROM users AS u
-- By both days, so that what is asked of them is asked of the grants as well: other snapshots are not read.
INNER JOIN profile_grants AS g ON g.day = u.day AND g.next_day = u.next_day AND g.id = u.profile_id
WHERE g.permission IS NOT NULL
UNION ALL
SELECT
    h.day,
    h.previous_day,
    h.next_day,
    h.user_key,
    h.user_id,
    h.username,
    h.role,
    h.role_source,
    h.system,
    h.owner,
    h.is_active,
    h.is_platform_user,
    g.permission,
    h.set_kind AS source_kind,
    h.set_id AS source_id,
    h.set_name AS source_name,
    g.file_id,
    g.line_no
FROM permission_assignments AS h
INNER JOIN set_grants AS g ON g.day = h.day AND g.next_day = h.next_day AND g.id = h.grants_id
WHERE g.permission IS NOT NULL AND h.set_kind <> 'profile'
