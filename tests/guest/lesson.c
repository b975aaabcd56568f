/* Reading the lesson. */
#include "lesson.h"
#include "frame_strip.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jpeglib.h>
#include <openssl/evp.h>

enum { PIECE_MAX = 1 << 20 };

static int read_head(struct lesson *l)
{
	size_t pieces, size;

	if (pread(l->disk, &l->head, sizeof(l->head), 0) != sizeof(l->head) ||
	    memcmp(l->head.magic, LESSON_MAGIC, sizeof(l->head.magic)) != 0 ||
	    l->head.frames > 100000 || l->head.seconds > 100000 ||
	    l->head.rate < 1 || l->head.rate > 60 ||
	    l->head.frames / l->head.rate > l->head.seconds ||
	    l->head.sample_rate > PIECE_MAX / 2)
		return -ENOENT;
	pieces = l->head.frames + l->head.seconds;
	size = pieces * sizeof(*l->index);
	l->index = malloc(size);
	if (!l->index)
		return -ENOMEM;
	if (pread(l->disk, l->index, size, INDEX_AT) != (ssize_t)size)
		return -EIO;
	return 0;
}

/* SATA and SCSI disks first, then virtio's. */
static int try_disks(struct lesson *l)
{
	int error = -ENOENT;
	glob_t g;

	if (glob("/dev/sd?", 0, NULL, &g) == 0)
		glob("/dev/vd?", GLOB_APPEND, NULL, &g);
	else if (glob("/dev/vd?", 0, NULL, &g) != 0)
		return -ENOENT;
	for (size_t i = 0; i < g.gl_pathc && error; i++) {
		snprintf(l->disk_name, sizeof(l->disk_name), "%s",
			 g.gl_pathv[i]);
		l->disk = open(l->disk_name, O_RDWR | O_CLOEXEC);
		if (l->disk < 0)
			continue;
		error = read_head(l);
		if (error)
			close(l->disk);
	}
	globfree(&g);
	return error;
}

int lesson_find(struct lesson *l)
{
	int error = -ENOENT;

	for (int i = 0; i < 200 && error; i++) {
		error = try_disks(l);
		if (error)
			usleep(50000);
	}
	return error;
}

/* A deciphered piece in a buffer of ours; its size or a negative value. */
static int piece(struct lesson *l, uint32_t number, uint8_t **data)
{
	static uint8_t buffer[PIECE_MAX + TAG_SIZE];
	static EVP_CIPHER_CTX *c;
	const struct lesson_piece *p = &l->index[number];
	uint8_t nonce[NONCE_SIZE] = {0};
	uint64_t n64 = number;
	int n;

	if (!c) {
		c = EVP_CIPHER_CTX_new();
		if (!c || !EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL,
					      l->key, NULL))
			return -ENOMEM;
	}
	if (p->size > PIECE_MAX ||
	    pread(l->disk, buffer, p->size + TAG_SIZE, (off_t)p->offset) !=
		    (ssize_t)p->size + TAG_SIZE)
		return -EIO;
	memcpy(nonce + 4, &n64, 8);
	if (!EVP_DecryptInit_ex(c, NULL, NULL, NULL, nonce) ||
	    !EVP_DecryptUpdate(c, NULL, &n, l->head.id, sizeof(l->head.id)) ||
	    !EVP_DecryptUpdate(c, buffer, &n, buffer, (int)p->size) ||
	    !EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_SIZE,
				 buffer + p->size) ||
	    EVP_DecryptFinal_ex(c, buffer + n, &n) != 1)
		return -EBADMSG;
	*data = buffer;
	return (int)p->size;
}

struct jpeg_errors {
	struct jpeg_error_mgr mgr;
	jmp_buf out;
};

static void jpeg_failed(j_common_ptr c)
{
	longjmp(((struct jpeg_errors *)c->err)->out, 1);
}

/* Decodes straight into the framebuffer. */
static int decode(const uint8_t *data, size_t size, struct screen *s)
{
	struct jpeg_decompress_struct c;
	struct jpeg_errors errors;

	c.err = jpeg_std_error(&errors.mgr);
	errors.mgr.error_exit = jpeg_failed;
	jpeg_create_decompress(&c);
	if (setjmp(errors.out)) {
		jpeg_destroy_decompress(&c);
		return -EBADMSG;
	}
	jpeg_mem_src(&c, data, size);
	jpeg_read_header(&c, TRUE);
	c.out_color_space = JCS_EXT_BGRX;
	c.dct_method = JDCT_IFAST;
	c.do_fancy_upsampling = FALSE;
	if (c.image_width != LESSON_WIDTH || c.image_height != LESSON_HEIGHT)
		jpeg_failed((j_common_ptr)&c);
	jpeg_start_decompress(&c);
	while (c.output_scanline < c.output_height) {
		JSAMPROW row = (JSAMPROW)(s->pixels +
					  (LESSON_Y + (int)c.output_scanline) *
						  s->stride +
					  LESSON_X);

		jpeg_read_scanlines(&c, &row, 1);
	}
	jpeg_finish_decompress(&c);
	jpeg_destroy_decompress(&c);
	return 0;
}

int lesson_frame(struct lesson *l, uint32_t number, struct screen *s)
{
	uint8_t *data;
	int n = piece(l, number, &data);

	return n < 0 ? n : decode(data, (size_t)n, s);
}

int lesson_sound(struct lesson *l, uint32_t second, int16_t *samples)
{
	uint8_t *data;
	int n = piece(l, l->head.frames + second, &data);

	if (n < 0)
		return n;
	if ((uint32_t)n != l->head.sample_rate * 2)
		return -EBADMSG;
	memcpy(samples, data, (size_t)n);
	return 0;
}
