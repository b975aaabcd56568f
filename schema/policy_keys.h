/*
 * Every key of a vault's policy, once (design: the default comes first).
 *
 * POLICY_CHOICE(field, "key", first, values "a|b|c")
 *   struct policy's member holds the index of the value.
 * POLICY_NUMBER(field, "key", default, min, max)
 * POLICY_DURATION(field, "key", default seconds)   0 = never; "60s", "30m",
 *   "8h", "30d"
 * POLICY_INTERVAL(field, "key")   "default" first; "off", "30d"
 * POLICY_SIZE(field, "key", default bytes)         0 = no limit; "20G"
 */
POLICY_CHOICE(record, "record", "required|best-effort|off")
POLICY_CHOICE(keystrokes, "keystrokes", "redact|store")
POLICY_CHOICE(clipboard, "clipboard", "off|to-guest|from-guest|both")
POLICY_CHOICE(file_transfer, "file-transfer", "off|on")
POLICY_CHOICE(usb, "usb", "off|on")
POLICY_CHOICE(microphone, "microphone", "off|on")
POLICY_NUMBER(viewers, "viewers", 1, 1, 16)
POLICY_CHOICE(takeover, "takeover", "ask|allow|deny")
POLICY_DURATION(idle_timeout, "idle-timeout", 0)
POLICY_DURATION(ticket_lifetime, "ticket-lifetime", 60)
POLICY_CHOICE(bind_address, "bind-address", "on|off")
POLICY_RETENTION(retention, "retention", 0)	/* "forever" or a duration */
POLICY_INTERVAL(verify, "verify")
POLICY_SIZE(quota, "quota", 0)
POLICY_CHOICE(machine, "machine", "auto|own")
