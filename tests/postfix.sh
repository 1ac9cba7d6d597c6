#!/usr/bin/env bash
# A Postfix of its own on loopback, which delivers every mail for example.com to one Maildir.
#
#   tests/postfix.sh start FOLDER PORT CERTIFICATE KEY    Maildir in FOLDER/mail/inbox
#   tests/postfix.sh stop FOLDER
#
# Installs Debian's package where it is missing. Needs root, as Postfix does.
set -euo pipefail

command=$1 folder=$2

if [ "$(id -u)" -ne 0 ]; then
    echo 'Postfix needs root: run the tests as root, as in a container' >&2
    exit 1
fi

if [ "$command" = stop ]; then
    postfix -c "$folder/config" stop
    exit
fi

port=$3 certificate=$4 key=$5
if ! command -v postfix >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    quietly=(-qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
    apt-get "${quietly[@]}" install --no-install-recommends -y postfix >&2 ||
        { apt-get "${quietly[@]}" update >&2 &&
            apt-get "${quietly[@]}" install --no-install-recommends -y postfix >&2; }
fi

# Its daemons give up root and must still pass.
chmod 755 "$folder"
mkdir -p "$folder"/{config,queue,data,mail}
chown postfix "$folder/data"
chown nobody "$folder/mail"
install -m 600 "$key" "$folder/config/key.pem"
install -m 644 "$certificate" "$folder/config/certificate.pem"
cat >"$folder/config/main.cf" <<END
compatibility_level = 3.6
queue_directory = $folder/queue
data_directory = $folder/data
maillog_file = $folder/log
maillog_file_prefixes = $folder
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost.localdomain
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = $folder/config/certificate.pem
smtpd_tls_key_file = $folder/config/key.pem
virtual_mailbox_domains = example.com
virtual_mailbox_base = $folder/mail
virtual_mailbox_maps = static:inbox/
virtual_minimum_uid = 1
virtual_uid_maps = static:$(id -u nobody)
virtual_gid_maps = static:$(id -g nobody)
default_transport = error:no mail leaves this machine
relay_transport = error:no mail leaves this machine
END
cat >"$folder/config/master.cf" <<END
127.0.0.1:$port inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
proxymap  unix  - - n - - proxymap
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
END
postfix -c "$folder/config" start >&2
