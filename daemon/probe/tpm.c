/*
 * The TPM 2.0 at its usual place, through either interface (TCG PC Client
 * Platform TPM Profile: CRB, FIFO). Asked are its properties, its public
 * endorsement keys, their certificates and the PCRs; responses are kept as
 * they come.
 */
#include "probe.h"

#define TPM 0xfed40000u

static uint8_t buffer[4096];

static uint32_t be32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static bool wait_for(uintptr_t at, uint32_t mask, uint32_t wanted)
{
	for (unsigned i = 0; i < 20 * PATIENCE; i++)
		if ((get32(at) & mask) == wanted)
			return true;
	return false;
}

/* --- command response buffer ------------------------------------------- */

static uint32_t crb_send(uint32_t size)
{
	uintptr_t command = get32(TPM + 0x5c), response = get32(TPM + 0x68);
	uint32_t answered;

	put32(TPM + 0x08, 1);            /* locality 0, please */
	if (!wait_for(TPM + 0x0c, 1, 1)) /* granted */
		return 0;
	put32(TPM + 0x40, 1); /* ready for a command? */
	if (!wait_for(TPM + 0x40, 1, 0) || size > get32(TPM + 0x58))
		return 0;
	for (uint32_t i = 0; i < size; i++)
		put8(command + i, buffer[i]);
	put32(TPM + 0x4c, 1);
	if (!wait_for(TPM + 0x4c, 1, 0))
		return 0;
	for (uint32_t i = 0; i < 10; i++)
		buffer[i] = get8(response + i);
	answered = be32_at(buffer + 2);
	if (answered < 10 || answered > sizeof(buffer))
		return 0;
	for (uint32_t i = 10; i < answered; i++)
		buffer[i] = get8(response + i);
	return answered;
}

/* --- FIFO (TIS) -------------------------------------------------------- */

static bool fifo_wait(uint8_t mask, uint8_t wanted)
{
	for (unsigned i = 0; i < 20 * PATIENCE; i++)
		if ((get8(TPM + 0x18) & mask) == wanted)
			return true;
	return false;
}

static uint32_t fifo_send(uint32_t size)
{
	uint32_t answered = 10;

	put8(TPM + 0x00, 0x02); /* locality 0, please */
	if (!wait_for(TPM + 0x00, 0x20, 0x20))
		return 0;
	put8(TPM + 0x18, 0x40); /* ready for a command? */
	if (!fifo_wait(0x40, 0x40))
		return 0;
	for (uint32_t i = 0; i < size; i++)
		put8(TPM + 0x24, buffer[i]);
	put8(TPM + 0x18, 0x20); /* go */
	if (!fifo_wait(0x90, 0x90))
		return 0;
	for (uint32_t i = 0; i < answered; i++) {
		buffer[i] = get8(TPM + 0x24);
		if (i == 5)
			answered = be32_at(buffer + 2);
		if (answered < 10 || answered > sizeof(buffer))
			return 0;
	}
	put8(TPM + 0x18, 0x40);
	return answered;
}

/* --- commands (TPM 2.0 library, part 3) -------------------------------- */

static uint32_t filled;

static void add(uint32_t value, unsigned bytes)
{
	while (bytes--)
		buffer[filled++] = value >> 8 * bytes & 0xff;
}

static void begin(uint32_t code, bool password)
{
	filled = 0;
	add(password ? 0x8002 : 0x8001, 2);
	add(0, 4);
	add(code, 4);
}

static void send(uint32_t code, uint32_t argument)
{
	uint32_t size = filled;

	filled = 2;
	add(size, 4);
	/* interface: 0 FIFO, 1 CRB */
	size = (get32(TPM + 0x30) & 0xf) == 1 ? crb_send(size)
					      : fifo_send(size);
	if (size)
		report_put(PROBE_TPM, (uint64_t)code << 32 | argument, buffer,
			   size);
}

static void ask_properties(uint32_t first)
{
	begin(0x17a, false); /* GetCapability: TPM properties */
	add(6, 4);
	add(first, 4);
	add(64, 4);
	send(0x17a, first);
}

static void ask_public(uint32_t handle)
{
	begin(0x173, false); /* ReadPublic */
	add(handle, 4);
	send(0x173, handle);
}

/* PCRs 8 * part and up of a bank; a response holds eight. */
static void ask_pcrs(uint32_t algorithm, unsigned part)
{
	begin(0x17e, false); /* PCR_Read */
	add(1, 4);
	add(algorithm, 2);
	add(3, 1);
	for (unsigned i = 0; i < 3; i++)
		add(i == part ? 0xff : 0, 1);
	send(0x17e, algorithm << 8 | part);
}

/* The beginning of an NV index, with the owner's empty password. */
static void ask_index(uint32_t index)
{
	uint32_t size;

	begin(0x169, false); /* NV_ReadPublic */
	add(index, 4);
	send(0x169, index);
	if (be32_at(buffer + 6) || be32_at(buffer + 2) < 26)
		return;
	/* the size of its data follows index, algorithm, attributes, policy */
	size = (uint32_t)buffer[22] << 8 | buffer[23];
	size = (uint32_t)buffer[24 + size] << 8 | buffer[25 + size];
	begin(0x14e, true); /* NV_Read */
	add(index, 4);
	add(index, 4);
	add(9, 4); /* a session: password, empty */
	add(0x40000009, 4);
	add(0, 2);
	add(0, 1);
	add(0, 2);
	add(size > 1024 ? 1024 : size, 2);
	add(0, 2);
	send(0x14e, index);
}

void read_tpm(void)
{
	uint32_t id = get32(TPM + 0x30);

	if (id == ~0u || !id)
		return;
	ask_properties(0x100);
	ask_public(0x81010001);
	ask_public(0x81010016);
	ask_index(0x01c00002);
	ask_index(0x01c00016);
	for (unsigned part = 0; part < 3; part++) {
		ask_pcrs(0x0b, part); /* SHA-256 */
		ask_pcrs(0x04, part); /* SHA-1 */
	}
}
