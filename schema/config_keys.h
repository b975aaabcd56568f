/*
 * Every key of mediavmd.conf, once: parser, defaults, `config check`, help
 * and mediavmd.conf(5) follow this table.
 *
 * CONFIG_KEY(section, key, kind, field, default, text)
 *   kind: STRING, PATH, NUMBER(min,max as MIN and MAX below), DURATION (s)
 *   field: member of struct config (daemon/config.h)
 */
CONFIG_KEY("daemon", "state", PATH, state, MEDIAVM_LOCALSTATEDIR "/lib/mediavm",
	   "folder of the catalogue, the vaults and the recordings")
CONFIG_KEY("daemon", "run", PATH, run, "/run/mediavm",
	   "folder of the sockets")
CONFIG_KEY("daemon", "identity", STRING, identity, "",
	   "folder of the locks by which a machine runs once on this host; "
	   "empty: /run/mediavm-identity for root, else a folder of the user")
CONFIG_KEY("daemon", "registry", STRING, registry, "",
	   "folder that knows which machines ran on this host, and which copy "
	   "of each may; empty: /var/lib/mediavm-registry for root, else a "
	   "folder of the user")
CONFIG_KEY("libvirt", "uri", STRING, libvirt_uri, "embed",
	   "embed (no libvirtd needed) or a libvirt URI such as qemu:///system")
CONFIG_KEY("libvirt", "emulator", PATH, emulator, "/usr/bin/qemu-system-x86_64",
	   "QEMU")
CONFIG_KEY("libvirt", "accelerator", STRING, accelerator, "auto",
	   "auto (KVM if it really works, otherwise TCG), kvm or tcg")
CONFIG_KEY("libvirt", "lock-manager", STRING, lock_manager, "",
	   "lockd or sanlock: libvirt's own lock on each disk file, for disks "
	   "that several hosts reach; empty: none")
CONFIG_KEY("gateway", "address", STRING, gateway_address, "0.0.0.0",
	   "addresses to listen on for SPICE over TLS, separated by spaces")
CONFIG_KEY("gateway", "port", NUMBER, gateway_port, "5930",
	   "TLS port of all vaults; 0 takes a free one")
CONFIG_KEY("gateway", "host", STRING, gateway_host, "",
	   "name or address that viewers shall connect to; empty: the name of "
	   "this host, or the address when it listens on a single one")
CONFIG_KEY("gateway", "link-timeout", DURATION, link_timeout, "5s",
	   "a connection that has not finished its link by then is closed")
CONFIG_KEY("gateway", "max-pending", NUMBER, max_pending, "256",
	   "connections in their link at the same time; past that the oldest go")
CONFIG_KEY("http", "address", STRING, http_address, "127.0.0.1",
	   "address of the page and the API")
CONFIG_KEY("http", "port", NUMBER, http_port, "8930",
	   "port of the page and the API; 0 takes a free one, -1 none")
CONFIG_KEY("verify", "interval", DURATION, verify_interval, "30d",
	   "how often what is frozen of a vault is compared with its digests; "
	   "0: only when asked for")
CONFIG_KEY("verify", "hours", STRING, verify_hours, "",
	   "hours of the day in which that is done, such as 1-6; empty: any")
CONFIG_KEY("verify", "rate", NUMBER, verify_rate, "0",
	   "MiB that it reads in a second at most; 0: no limit")
CONFIG_KEY("render", "memory", NUMBER, render_memory, "2048",
	   "address space of a rendering job, MiB")
CONFIG_KEY("render", "automatic", NUMBER, render_automatic, "1",
	   "1: make the video when a session ends; 0: on request only")
CONFIG_KEY("transfer", "netrc", STRING, transfer_netrc, "/etc/mediavm/netrc",
	   "file with the logins of uploads and downloads, as ~/.netrc has them")
CONFIG_KEY("transfer", "ca", STRING, transfer_ca, "",
	   "file with the authorities that servers' certificates may be by; "
	   "empty: those of this host")
CONFIG_KEY("transfer", "known-hosts", STRING, transfer_known_hosts,
	   "/etc/mediavm/known_hosts",
	   "file with the host keys of SFTP servers, as ~/.ssh/known_hosts")
CONFIG_KEY("transfer", "ssh-key", STRING, transfer_ssh_key, "",
	   "file with the private key for SFTP; empty: passwords only")
CONFIG_KEY("transfer", "s3-endpoint", STRING, transfer_s3_endpoint, "",
	   "URL of the server that s3://BUCKET/KEY is at; empty: Amazon's")
CONFIG_KEY("transfer", "s3-region", STRING, transfer_s3_region, "us-east-1",
	   "region by which requests to S3 are signed")
CONFIG_KEY("transfer", "patience", DURATION, transfer_patience, "15m",
	   "a transfer is given up when it was broken for so long")
