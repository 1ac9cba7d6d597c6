"""Verifies a mail's DKIM signature with dkimpy: verify_dkim.py MAIL KEY-RECORD. The key comes from the
command line and not from DNS. Prints what holds of the mail as it is, and which changes went unseen."""

import json
import re
import sys

import dkim

mail = open(sys.argv[1], "rb").read()
record = sys.argv[2].encode()
asked = set()


def key(name, timeout=5):
    asked.add(name.decode())
    return record


def holds(changed):
    try:
        return bool(dkim.verify(changed, dnsfunc=key))
    except dkim.DKIMException:
        return False


head, body = mail.split(b"\r\n\r\n", 1)
unseen = []
letters = [n for n, byte in enumerate(body) if chr(byte).isalnum()]
for n in letters[:: max(1, len(letters) // 12)] + letters[-1:]:
    changed = body[:n] + (b"x" if body[n : n + 1] != b"x" else b"y") + body[n + 1 :]
    if holds(head + b"\r\n\r\n" + changed):
        unseen.append(f"body at {n}")
if holds(mail + b"One more line.\r\n"):
    unseen.append("body made longer")
for name in ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]:
    line = re.compile(rb"^(" + name.encode() + rb": *)(.)", re.I | re.M)
    if not line.search(head) or holds(line.sub(rb"\1z\2", head, count=1) + b"\r\n\r\n" + body):
        unseen.append(name)
for more in ["Cc: other@example.net", "Reply-To: other@example.net", "Sender: other@example.net"]:
    if holds(more.encode() + b"\r\n" + mail):
        unseen.append(f"{more} added")

signature = re.search(rb"^dkim-signature:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", head, re.I | re.M)
tags = dict(
    tag.strip().split("=", 1) for tag in re.sub(r"\s+", " ", signature.group(1).decode()).split(";")
)
print(
    json.dumps(
        {
            "holds": holds(mail),
            "unseen": unseen,
            "asked": sorted(asked),
            "algorithm": tags["a"].strip(),
            "headers": tags["h"].replace(" ", "").lower().split(":"),
        }
    )
)
