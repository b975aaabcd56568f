/* The tables of messages and names, and what is found in them. */
#include "recorder/message.h"

#include <string.h>

#include "recorder/message_parts.h"
#include "schema/spice_messages.h"

/* --- names of values --------------------------------------------------- */

#define VALUE(value, name) {value, #name},
#define SET(name, list) \
	static const struct message_value values_##name[] = {list(VALUE)}; \
	const struct message_set set_##name = {sizeof(values_##name) / \
						       sizeof(*values_##name), \
					       values_##name};
SPICE_SETS(SET)

const char *message_value_name(const struct message_set *set, uint32_t value)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->values[i].value == value)
			return set->values[i].name;
	return NULL;
}

const struct message_set *message_image_types(void)
{
	return &set_image_type;
}

const struct message_set *message_codecs(void)
{
	return &set_video_codec_type;
}

const struct message_set *message_link_errors(void)
{
	return &set_link_err;
}

const struct message_set *message_auth_mechanisms(void)
{
	return &set_auth_mechanism;
}

const struct message_set *message_sound_modes(void)
{
	return &set_audio_data_mode;
}

const struct message_set *message_common_caps(void)
{
	return &set_common_cap;
}

const struct message_set *message_channel_caps(uint8_t channel)
{
	static const struct message_set *const sets[] = {
		[1] = &set_main_cap,      [2] = &set_display_cap,
		[3] = &set_inputs_cap,    [5] = &set_playback_cap,
		[6] = &set_record_cap,    [9] = &set_spicevmc_cap,
		[10] = &set_spicevmc_cap, [11] = &set_spicevmc_cap,
	};

	return channel < sizeof(sets) / sizeof(*sets) ? sets[channel] : NULL;
}

/* --- layouts ------------------------------------------------------------ */

#define U8(n) \
	{ \
#n, FIELD_U8, \
		{ \
			NULL \
		} \
	}
#define U16(n) \
	{ \
#n, FIELD_U16, \
		{ \
			NULL \
		} \
	}
#define U32(n) \
	{ \
#n, FIELD_U32, \
		{ \
			NULL \
		} \
	}
#define U64(n) \
	{ \
#n, FIELD_U64, \
		{ \
			NULL \
		} \
	}
#define I32(n) \
	{ \
#n, FIELD_I32, \
		{ \
			NULL \
		} \
	}
#define I64(n) \
	{ \
#n, FIELD_I64, \
		{ \
			NULL \
		} \
	}
#define X8(n) \
	{ \
#n, FIELD_X8, \
		{ \
			NULL \
		} \
	}
#define X32(n) \
	{ \
#n, FIELD_X32, \
		{ \
			NULL \
		} \
	}
#define X64(n) \
	{ \
#n, FIELD_X64, \
		{ \
			NULL \
		} \
	}
#define E8(n, s) \
	{ \
#n, FIELD_E8, \
		{ \
			.set = &set_##s \
		} \
	}
#define E16(n, s) \
	{ \
#n, FIELD_E16, \
		{ \
			.set = &set_##s \
		} \
	}
#define E32(n, s) \
	{ \
#n, FIELD_E32, \
		{ \
			.set = &set_##s \
		} \
	}
#define F8(n, s) \
	{ \
#n, FIELD_F8, \
		{ \
			.set = &set_##s \
		} \
	}
#define F16(n, s) \
	{ \
#n, FIELD_F16, \
		{ \
			.set = &set_##s \
		} \
	}
#define F32(n, s) \
	{ \
#n, FIELD_F32, \
		{ \
			.set = &set_##s \
		} \
	}
#define FIX16(n) \
	{ \
#n, FIELD_FIX16, \
		{ \
			NULL \
		} \
	}
#define POINT(n) \
	{ \
#n, FIELD_POINT, \
		{ \
			NULL \
		} \
	}
#define POINT16(n) \
	{ \
#n, FIELD_POINT16, \
		{ \
			NULL \
		} \
	}
#define POINTFIX(n) \
	{ \
#n, FIELD_POINTFIX, \
		{ \
			NULL \
		} \
	}
#define RECT(n) \
	{ \
#n, FIELD_RECT, \
		{ \
			NULL \
		} \
	}
#define AT(n, s) \
	{ \
#n, FIELD_AT, \
		{ \
			.layout = struct_##s \
		} \
	}
#define MANY8(n, s) \
	{ \
#n, FIELD_MANY8, \
		{ \
			.layout = struct_##s \
		} \
	}
#define MANY16(n, s) \
	{ \
#n, FIELD_MANY16, \
		{ \
			.layout = struct_##s \
		} \
	}
#define MANY32(n, s) \
	{ \
#n, FIELD_MANY32, \
		{ \
			.layout = struct_##s \
		} \
	}
#define ALL(n, s) \
	{ \
#n, FIELD_ALL, \
		{ \
			.layout = struct_##s \
		} \
	}
#define REST(n) \
	{ \
#n, FIELD_REST, \
		{ \
			NULL \
		} \
	}
#define SIZED(n) \
	{ \
#n, FIELD_SIZED, \
		{ \
			NULL \
		} \
	}
#define TEXT(n) \
	{ \
#n, FIELD_TEXT, \
		{ \
			NULL \
		} \
	}
#define SECRET(n) \
	{ \
#n, FIELD_SECRET, \
		{ \
			NULL \
		} \
	}
#define BY(n, f) \
	{ \
#n, FIELD_BY, \
		{ \
			.by = walk_##f \
		} \
	}
#define NOTHING \
	{ \
		NULL, FIELD_END, \
		{ \
			NULL \
		} \
	}

#define STRUCT(name, ...) \
	const struct message_field struct_##name[] = {__VA_ARGS__, NOTHING};
SPICE_STRUCTS(STRUCT)

#define KIND(number, name, ...) \
	{number, #name, (const struct message_field[]){__VA_ARGS__, NOTHING}},
#define LIST_END \
	{ \
		0, NULL, NULL \
	}

static const struct message_kind common_to_client[] = {
	SPICE_COMMON_TO_CLIENT(KIND) LIST_END};
static const struct message_kind common_to_guest[] = {
	SPICE_COMMON_TO_GUEST(KIND) LIST_END};
static const struct message_kind agent_kinds[] = {AGENT_MESSAGES(KIND)
							  LIST_END};

#define CHANNEL_KINDS(number, name, to_client, to_guest) \
	static const struct message_kind name##_to_client[] = { \
		to_client(KIND) LIST_END}; \
	static const struct message_kind name##_to_guest[] = { \
		to_guest(KIND) LIST_END};
SPICE_CHANNELS(CHANNEL_KINDS)

static const struct {
	const char *name;
	const struct message_kind *to_client, *to_guest;
} channels[] = {
#define CHANNEL(number, name, to_client, to_guest) \
	[number] = {#name, name##_to_client, name##_to_guest},
	SPICE_CHANNELS(CHANNEL)};

#define CHANNELS (sizeof(channels) / sizeof(*channels))

/* --- what is found ------------------------------------------------------ */

const char *message_channel_name(uint8_t channel)
{
	return channel < CHANNELS ? channels[channel].name : NULL;
}

int message_channel_number(const char *name, size_t size)
{
	for (unsigned i = 0; i < CHANNELS; i++)
		if (channels[i].name && strlen(channels[i].name) == size &&
		    !memcmp(channels[i].name, name, size))
			return (int)i;
	return -1;
}

static const struct message_kind *find(const struct message_kind *kinds,
				       uint32_t type)
{
	for (; kinds->name; kinds++)
		if (kinds->type == type)
			return kinds;
	return NULL;
}

const struct message_kind *
message_kind(uint8_t channel, enum capture_direction direction, uint16_t type)
{
	bool to_client = direction == CAPTURE_TO_CLIENT;

	if (type < 100)
		return find(to_client ? common_to_client : common_to_guest,
			    type);
	if (channel >= CHANNELS || !channels[channel].name)
		return NULL;
	return find(to_client ? channels[channel].to_client
			      : channels[channel].to_guest,
		    type);
}

const char *message_name(uint8_t channel, enum capture_direction direction,
			 uint16_t type)
{
	const struct message_kind *kind =
		message_kind(channel, direction, type);

	return kind ? kind->name : "unknown";
}

const struct message_kind *message_agent_kind(uint32_t type)
{
	return find(agent_kinds, type);
}
