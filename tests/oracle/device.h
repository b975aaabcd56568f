/*
 * libspice-server with QXL devices on which a test draws; headless.
 *
 * One thread runs the server's main loop (device_run) and draws; the devices'
 * workers are the library's own threads. Commands and what they point to are
 * freed when the server has done with them; memory of surfaces stays until
 * the end. What can't go wrong but by lack of memory or sockets aborts.
 */
#ifndef TESTS_ORACLE_DEVICE_H
#define TESTS_ORACLE_DEVICE_H

#include <spice.h>
#include <stdbool.h>
#include <stdint.h>

#define DEVICE_SURFACES 24 /* of one device, with the primary */

/* A surface of the guest: number 0 is the primary. */
struct canvas {
	uint32_t id, format, width, height;
	int32_t stride; /* bytes */
	uint8_t *data;  /* what the server itself draws */
	bool alive;
};

/* A command and what it points to. */
struct command {
	union {
		QXLReleaseInfo release;
		QXLDrawable drawable;
		QXLSurfaceCmd surface;
		QXLCursorCmd cursor;
	};
	uint32_t type; /* QXL_CMD_* */
	struct command *next;
	void *owned[24];
	unsigned owned_count;
};

struct device {
	QXLInstance qxl; /* the first: the server knows it by its address */
	struct canvas canvases[DEVICE_SURFACES];
	struct command *first[2], **last[2]; /* drawings; cursors */
	unsigned monitors_done; /* asynchronous calls that came back */
};

/* Before devices: image compression and so on are set on the server. */
SpiceServer *device_server_new(void);
/* What devices and the server hold is freed as well. */
void device_server_free(void);
/* A TCP port on the loopback where the server listens. */
int device_port(void);
/* Lets the server's main loop run for a moment. */
void device_run(void);
/* Channels that clients have open. */
int device_open_channels(void);

/* At most 4; it has a primary of that size and format. */
struct device *device_new(unsigned id, uint32_t width, uint32_t height,
			  uint32_t format);
/* The guest runs: after the last device. */
void device_start(void);
/* Another primary in the place of the last one. */
void device_resize(struct device *device, uint32_t width, uint32_t height,
		   uint32_t format);
/* In a free place of the device; NULL when there is none. */
struct canvas *device_add_surface(struct device *device, uint32_t width,
				  uint32_t height, uint32_t format);
void device_drop_surface(struct device *device, struct canvas *canvas);
/* What was put so far is on the canvas afterwards. */
void device_update(struct device *device, const struct canvas *canvas);

struct command *command_new(uint32_t type);
void command_free(struct command *command);
/* Memory that lives as long as the command, zeroed. */
void *command_alloc(struct command *command, size_t size);
/* The device takes it over. */
void device_put(struct device *device, struct command *command);

#endif
