/*
 * make_lesson FILE - makes the lesson and writes it, encrypted with a new
 * random key and with its one-time licence, as a raw disk (lesson_disk.h).
 */
#include "lesson_disk.h"
#include "frame_strip.h"
#include "picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

enum { PIECES = LESSON_FRAMES + LESSON_SECONDS, DISK_SIZE = 64 << 20 };

struct disk {
	FILE *file;
	uint64_t end; /* where the next piece goes */
	uint8_t key[KEY_SIZE];
	struct lesson_head head;
	struct lesson_piece index[PIECES];
	unsigned pieces;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void put(struct disk *d, uint64_t at, const void *data, size_t size)
{
	if (fseek(d->file, (long)at, SEEK_SET) != 0 ||
	    fwrite(data, 1, size, d->file) != size)
		die("cannot write the disk");
}

/* Seals a piece and puts it behind the last one. */
static void put_piece(struct disk *d, const void *data, size_t size)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *out = malloc(size + TAG_SIZE);
	uint8_t nonce[NONCE_SIZE] = {0};
	uint64_t number = d->pieces;
	int n;

	memcpy(nonce + 4, &number, 8);
	if (!c || !out ||
	    !EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, d->key, nonce) ||
	    !EVP_EncryptUpdate(c, NULL, &n, d->head.id, sizeof(d->head.id)) ||
	    !EVP_EncryptUpdate(c, out, &n, data, (int)size) ||
	    !EVP_EncryptFinal_ex(c, out + n, &n) ||
	    !EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out + size))
		die("AES-256-GCM");
	put(d, d->end, out, size + TAG_SIZE);
	d->index[d->pieces++] =
		(struct lesson_piece){.offset = d->end, .size = (uint32_t)size};
	d->end += size + TAG_SIZE;
	EVP_CIPHER_CTX_free(c);
	free(out);
}

static void put_frame(struct disk *d, uint8_t *rgb)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;
	unsigned char *out = NULL;
	unsigned long size = 0;

	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &out, &size);
	c.image_width = LESSON_WIDTH;
	c.image_height = LESSON_HEIGHT;
	c.input_components = 3;
	c.in_color_space = JCS_RGB;
	jpeg_set_defaults(&c);
	jpeg_set_quality(&c, 82, TRUE);
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < c.image_height) {
		JSAMPROW row = rgb + c.next_scanline * LESSON_WIDTH * 3;

		jpeg_write_scanlines(&c, &row, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	put_piece(d, out, size);
	free(out);
}

static void draw_strip(uint8_t *rgb, uint16_t number)
{
	for (int y = STRIP_Y; y < LESSON_HEIGHT; y++)
		for (int x = 0; x < LESSON_WIDTH; x++)
			memset(rgb + (y * LESSON_WIDTH + x) * 3,
			       frame_strip_cell(number, x / STRIP_CELL_WIDTH)
				       ? 235
				       : 16,
			       3);
}

/* A soft chord all the time, the tone in every other second. */
static void put_sound(struct disk *d, int second)
{
	static int16_t pcm[LESSON_SAMPLE_RATE];

	for (int i = 0; i < LESSON_SAMPLE_RATE; i++) {
		double t = second + (double)i / LESSON_SAMPLE_RATE;
		double v = 0.03 * sin(2 * M_PI * 220 * t) +
			   0.03 * sin(2 * M_PI * 277.18 * t) +
			   0.03 * sin(2 * M_PI * 329.63 * t);
		int edge =
			i < LESSON_SAMPLE_RATE - i ? i : LESSON_SAMPLE_RATE - i;

		if (second % 2 == 0)
			v += 0.3 * fmin(1, edge / 240.0) *
			     sin(2 * M_PI * LESSON_TONE * t);
		pcm[i] = (int16_t)lrint(v * 32767);
	}
	put_piece(d, pcm, sizeof(pcm));
}

int main(int argc, char **argv)
{
	static uint8_t rgb[LESSON_WIDTH * LESSON_HEIGHT * 3];
	static struct disk d;
	struct one_time_licence licence = {.magic = ""};

	if (argc != 2) {
		fprintf(stderr, "usage: make_lesson FILE\n");
		return 2;
	}
	d.file = fopen(argv[1], "wb");
	if (!d.file)
		die(argv[1]);
	d.head = (struct lesson_head){
		.magic = LESSON_MAGIC,
		.frames = LESSON_FRAMES,
		.seconds = LESSON_SECONDS,
		.rate = LESSON_RATE,
		.sample_rate = LESSON_SAMPLE_RATE,
	};
	memcpy(licence.magic, ONE_TIME_MAGIC, sizeof(licence.magic));
	if (RAND_bytes(d.head.id, sizeof(d.head.id)) != 1 ||
	    RAND_bytes(d.key, sizeof(d.key)) != 1)
		die("no random numbers");
	memcpy(licence.key, d.key, sizeof(licence.key));
	d.end = INDEX_AT + sizeof(d.index);
	picture_init();
	for (int i = 0; i < LESSON_FRAMES; i++) {
		picture_draw(rgb, LESSON_WIDTH, LESSON_HEIGHT,
			     (double)i / LESSON_RATE);
		draw_strip(rgb, (uint16_t)i);
		put_frame(&d, rgb);
	}
	for (int i = 0; i < LESSON_SECONDS; i++)
		put_sound(&d, i);
	put(&d, 0, &d.head, sizeof(d.head));
	put(&d, ONE_TIME_AT, &licence, sizeof(licence));
	put(&d, INDEX_AT, d.index, sizeof(d.index));
	if (d.end >= DISK_SIZE) {
		fprintf(stderr, "make_lesson: the lesson outgrew its disk\n");
		return 1;
	}
	put(&d, DISK_SIZE - 1, "", 1);
	if (fclose(d.file) != 0)
		die(argv[1]);
	return 0;
}
