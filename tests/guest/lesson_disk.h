/*
 * The guest's disk: a lesson under AES-256-GCM and the licence to play it.
 *
 *   0      struct lesson_head
 *   4096   struct one_time_licence   as delivered; overwritten at activation
 *   8192   struct bound_licence      zeros until activation
 *   16384  struct lesson_piece[frames + seconds]
 *   then   the pieces: one JPEG per frame, one second of sound per second
 *          (S16LE, mono), each sealed on its own
 *
 * A piece is sealed with the content key, the nonce {0,0,0,0, number of the
 * piece as le64} and the lesson's id as associated data; its 16 byte tag
 * follows the ciphertext. The numbers are little-endian, the machines x86.
 */
#ifndef GUEST_LESSON_DISK_H
#define GUEST_LESSON_DISK_H

#include <stdint.h>

#define LESSON_MAGIC "MEDIAVM LESSON1"
#define ONE_TIME_MAGIC "ONE-TIME LICENCE"
#define BOUND_MAGIC "LICENCE IS BOUND"

enum {
	LESSON_RATE = 20, /* frames per second */
	LESSON_SECONDS = 30,
	LESSON_FRAMES = LESSON_RATE * LESSON_SECONDS,
	LESSON_SAMPLE_RATE = 48000,
	LESSON_TONE = 1000, /* Hz; heard in seconds 0, 2, 4 ... */

	ONE_TIME_AT = 4096,
	BOUND_AT = 8192,
	INDEX_AT = 16384,

	KEY_SIZE = 32,
	NONCE_SIZE = 12,
	TAG_SIZE = 16,
	DIGEST_SIZE = 32,
	FIELDS_MAX = 24,
};

struct lesson_head {
	char magic[16];
	uint8_t id[16]; /* random; associated data of each piece */
	uint32_t frames;
	uint32_t seconds; /* pieces of sound */
	uint32_t rate;    /* frames per second */
	uint32_t sample_rate;
};

struct lesson_piece {
	uint64_t offset; /* bytes from the start of the disk */
	uint32_t size;   /* ciphertext without its tag */
	uint32_t unused;
};

/* The content key as it comes from the vendor, for the first run only. */
struct one_time_licence {
	char magic[16];
	uint8_t key[KEY_SIZE];
};

/*
 * The content key wrapped for one machine: AES-256-GCM under
 * HKDF-SHA256(fingerprint, salt). A field's digest is
 * SHA-256(salt, name, '=', value); it tells which field has changed and
 * does not give the value away.
 */
struct bound_licence {
	char magic[16];
	uint8_t salt[32];
	uint8_t nonce[NONCE_SIZE];
	uint8_t key[KEY_SIZE];
	uint8_t tag[TAG_SIZE];
	uint32_t fields;
	uint8_t digest[FIELDS_MAX][DIGEST_SIZE];
};

#endif
