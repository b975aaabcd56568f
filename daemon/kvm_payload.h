/* The firmware image of the KVM trial (kvm_payload.c says what it does). */
#ifndef DAEMON_KVM_PAYLOAD_H
#define DAEMON_KVM_PAYLOAD_H

#include <stdint.h>

enum {
	KVM_PAYLOAD_SIZE = 65536,
	/* QEMU's exit status: (value << 1) | 1. */
	KVM_PAYLOAD_PASSED = 33,
	KVM_PAYLOAD_FAILED = 35,
};

extern const uint8_t kvm_payload[KVM_PAYLOAD_SIZE];

#endif
