//! The objects that can be queried: their fields, what may stand in a WHERE, and who may read them.

use std::collections::BTreeMap;

use super::state::User;

/// Objects by name. Tests may take fields away, as an edition does.
#[derive(Debug, Clone)]
pub struct Objects(pub BTreeMap<String, Object>);

#[derive(Debug, Clone)]
pub struct Object {
    pub name: String,
    pub fields: Vec<Field>,
    pub access: Access,
    /// Only `COUNT()` of all aggregates.
    pub no_aggregates: bool,
}

#[derive(Debug, Clone)]
pub struct Field {
    /// Of a parent: dotted.
    pub name: String,
    pub kind: Kind,
    pub filterable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Id,
    Text,
    Boolean,
    Number,
    Time,
}

/// What a user needs to read an object.
#[derive(Debug, Clone)]
pub enum Access {
    /// One of these; without, the object is not there.
    Any(&'static [&'static str]),
    /// One of these for all rows; without, those rows whose field holds the user's id.
    OwnRows(&'static str, &'static [&'static str]),
}

/// How much of an object a user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    All,
    /// Rows whose field of this name is the user.
    Own(&'static str),
    Nothing,
}

impl Objects {
    pub fn standard() -> Self {
        let permissions = PERMISSIONS.split_whitespace();
        let permissions: String = permissions
            .map(|name| format!(" Permissions{name}:b"))
            .collect();
        let mut objects = BTreeMap::new();
        for (name, access, fields) in table() {
            let more = match name {
                "Profile" | "PermissionSet" => permissions.as_str(),
                _ => "",
            };
            let fields = fields.split_whitespace().chain(more.split_whitespace());
            let object = Object {
                name: name.to_owned(),
                fields: fields.map(field).collect(),
                access,
                no_aggregates: name == "SetupAuditTrail",
            };
            objects.insert(name.to_owned(), object);
        }
        Self(objects)
    }

    /// Names of objects are the same in all cases.
    pub fn get(&self, name: &str) -> Option<&Object> {
        let mut objects = self.0.values();
        objects.find(|object| object.name.eq_ignore_ascii_case(name))
    }

    /// The org does not have this field (any more).
    pub fn take_away(&mut self, object: &str, field: &str) {
        if let Some(object) = self.0.get_mut(object) {
            object.fields.retain(|known| known.name != field);
        }
    }
}

impl Object {
    pub fn field(&self, name: &str) -> Option<&Field> {
        let mut fields = self.fields.iter();
        fields.find(|field| field.name.eq_ignore_ascii_case(name))
    }

    pub fn sight(&self, user: &User) -> Sight {
        match self.access {
            Access::Any(needed) if needed.iter().any(|one| user.may(one)) => Sight::All,
            Access::Any(_) => Sight::Nothing,
            Access::OwnRows(_, needed) if needed.iter().any(|one| user.may(one)) => Sight::All,
            Access::OwnRows(field, _) => Sight::Own(field),
        }
    }
}

/// `Name:t`: id, text, boolean, number, time; with a minus sign after it, not filterable.
fn field(text: &str) -> Field {
    let (name, kind) = text.split_once(':').expect("a name and a kind");
    let (kind, filterable) = match kind.strip_suffix('-') {
        Some(kind) => (kind, false),
        None => (kind, true),
    };
    let kind = match kind {
        "i" => Kind::Id,
        "s" => Kind::Text,
        "b" => Kind::Boolean,
        "n" => Kind::Number,
        "t" => Kind::Time,
        _ => panic!("no kind {kind:?}"),
    };
    Field {
        name: name.to_owned(),
        kind,
        filterable,
    }
}

const PERMISSIONS: &str = "ApiEnabled ApiUserOnly ModifyAllData ViewAllData ManageUsers \
    ManageInternalUsers CustomizeApplication AuthorApex ManageSharing ManageAuthProviders \
    ViewSetup ManageProfilesPermissionsets AssignPermissionSets ResetPasswords \
    PasswordNeverExpires IsSsoEnabled ViewEventLogFiles MonitorLoginHistory";

const SETUP: &[&str] = &["ViewSetup"];
const ASSIGNMENTS: &[&str] = &["ViewSetup", "AssignPermissionSets", "ManageUsers"];

fn table() -> Vec<(&'static str, Access, &'static str)> {
    vec![
        (
            "EventLogFile",
            Access::Any(&["ViewEventLogFiles", "ViewAllData"]),
            "Id:i EventType:s LogDate:t LogFile:s- LogFileLength:n LogFileContentType:s \
             LogFileFieldNames:s- LogFileFieldTypes:s- Interval:s Sequence:n ApiVersion:n \
             CreatedDate:t CreatedById:i SystemModstamp:t IsDeleted:b LastModifiedDate:t",
        ),
        (
            "LoginHistory",
            Access::OwnRows("UserId", &["ManageUsers", "MonitorLoginHistory"]),
            "Id:i UserId:i LoginTime:t LoginType:s LoginSubType:s SourceIp:s LoginUrl:s \
             AuthenticationServiceId:i LoginGeoId:i TlsProtocol:s CipherSuite:s NetworkId:i \
             OptionsIsGet:b OptionsIsPost:b Browser:s- Platform:s- Status:s- Application:s- \
             ClientVersion:s- ApiType:s- ApiVersion:s- CountryIso:s AuthMethodReference:s- \
             ForwardedForIp:s-",
        ),
        (
            "SetupAuditTrail",
            Access::Any(SETUP),
            "Id:i Action:s Section:s- CreatedDate:t CreatedById:i CreatedBy.Username:s Display:s- \
             DelegateUser:s- CreatedByContext:s- CreatedByIssuer:s- ResponsibleNamespacePrefix:s",
        ),
        (
            "VerificationHistory",
            Access::Any(&["ManageUsers"]),
            "Id:i VerificationTime:t EventGroup:s LoginHistoryId:i UserId:i VerificationMethod:s \
             Activity:s Policy:s Status:s SourceIp:s LoginGeoId:i Remarks:s- ResourceId:i \
             CreatedById:i CreatedDate:t",
        ),
        (
            "User",
            Access::OwnRows("Id", &["ViewSetup", "ManageUsers"]),
            "Id:i Username:s Name:s Email:s IsActive:b UserType:s ProfileId:i Profile.Name:s \
             Profile.UserLicense.Name:s UserRoleId:i ManagerId:i CreatedDate:t CreatedById:i \
             LastModifiedDate:t LastModifiedById:i LastLoginDate:t LastPasswordChangeDate:t \
             NumberOfFailedLogins:n",
        ),
        (
            "UserLogin",
            Access::Any(&["ManageUsers"]),
            "Id:i UserId:i IsFrozen:b IsPasswordLocked:b LastModifiedDate:t LastModifiedById:i",
        ),
        (
            "Profile",
            Access::Any(SETUP),
            "Id:i Name:s UserType:s UserLicenseId:i UserLicense.Name:s Description:s CreatedDate:t \
             CreatedById:i LastModifiedDate:t LastModifiedById:i",
        ),
        (
            "PermissionSet",
            Access::Any(ASSIGNMENTS),
            "Id:i Name:s Label:s Type:s IsOwnedByProfile:b IsCustom:b ProfileId:i Profile.Name:s \
             PermissionSetGroupId:i LicenseId:i License.Name:s NamespacePrefix:s \
             HasActivationRequired:b Description:s CreatedDate:t CreatedById:i LastModifiedDate:t \
             LastModifiedById:i SystemModstamp:t",
        ),
        (
            "PermissionSetAssignment",
            Access::Any(ASSIGNMENTS),
            "Id:i AssigneeId:i Assignee.Username:s PermissionSetId:i PermissionSet.Name:s \
             PermissionSet.Label:s PermissionSetGroupId:i PermissionSetGroup.DeveloperName:s \
             ExpirationDate:t IsActive:b SystemModstamp:t",
        ),
        (
            "PermissionSetLicenseAssign",
            Access::Any(ASSIGNMENTS),
            "Id:i AssigneeId:i Assignee.Username:s PermissionSetLicenseId:i \
             PermissionSetLicense.DeveloperName:s PermissionSetLicense.MasterLabel:s",
        ),
        (
            "SetupEntityAccess",
            Access::Any(SETUP),
            "Id:i ParentId:i Parent.Name:s Parent.Label:s SetupEntityId:i SetupEntityType:s \
             SystemModstamp:t",
        ),
        (
            "ConnectedApplication",
            Access::Any(SETUP),
            "Id:i Name:s CreatedDate:t CreatedById:i LastModifiedDate:t LastModifiedById:i \
             OptionsAllowAdminApprovedUsersOnly:b OptionsHasSessionLevelPolicy:b \
             OptionsIsInternal:b OptionsAppIssueJwtTokenEnabled:b \
             OptionsRefreshTokenValidityMetric:b RefreshTokenValidityPeriod:n StartUrl:s \
             MobileStartUrl:s MobileSessionTimeout:s PinLength:s UvidTimeout:n",
        ),
        (
            "OauthToken",
            Access::OwnRows("UserId", &["CustomizeApplication"]),
            "Id:i UserId:i AppName:s AppMenuItemId:i UseCount:n LastUsedDate:t AccessToken:s- \
             DeleteToken:s- RequestToken:s-",
        ),
        (
            "AuthSession",
            Access::OwnRows("UsersId", &["ManageUsers"]),
            "Id:i UsersId:i CreatedDate:t LastModifiedDate:t NumSecondsValid:n LoginType:s \
             SessionType:s SessionSecurityLevel:s SourceIp:s UserType:s ParentId:i \
             LoginHistoryId:i LoginGeoId:i",
        ),
        (
            "Organization",
            Access::Any(&["ApiEnabled"]),
            "Id:i Name:s IsSandbox:b InstanceName:s OrganizationType:s",
        ),
    ]
}
