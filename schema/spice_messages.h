/*
 * Every message of every SPICE channel: its number, its name, its layout.
 *
 * SPICE_x_TO_CLIENT(X) and SPICE_x_TO_GUEST(X) are lists of
 *   X(number, name, FIELD, FIELD, …)
 * name: SPICE_MSG_x_NAME or SPICE_MSGC_x_NAME of spice-protocol's enums.h in
 * lower case. SPICE_STRUCTS and the AGENT_ lists have the same form. Fields
 * and their order: the SPICE protocol description (spice.proto); those of
 * the agent: vd_agent.h. A user defines the FIELD words it wants:
 *
 *   U8 U16 U32 U64 I32 I64 (name)    integers, little-endian
 *   X8 X32 X64 (name)                integers that are better read as hex
 *   FIX16(name)                      16.16 fixed point, 32 bits
 *   POINT POINT16 POINTFIX (name)    x and y: I32, I16, 28.4 fixed point
 *   RECT(name)                       I32 top, left, bottom, right
 *   NOTHING                          an empty body
 *   E8 E16 E32 (name, set)           one value of a set of spice_names.h
 *   F8 F16 F32 (name, set)           bits of a set
 *   AT(name, struct)                 u32 offset of one in the body, 0 = none
 *   MANY8 MANY16 MANY32 (name, struct)  a count of 8, 16, 32 bits, then so
 *                                    many structures
 *   ALL(name, struct)                structures to the end of the body
 *   REST(name)                       bytes to the end of the body
 *   SIZED(name)                      u32 size, then so many bytes
 *   TEXT(name)                       the same, a text
 *   SECRET(name)                     as REST: what the user typed or copied
 *   BY(name, function)               what depends on a value before it
 */
#ifndef SCHEMA_SPICE_MESSAGES_H
#define SCHEMA_SPICE_MESSAGES_H

/* CHANNEL(number, name, its messages of either direction) */
#define SPICE_CHANNELS(X) \
	X(1, main, SPICE_MAIN_TO_CLIENT, SPICE_MAIN_TO_GUEST) \
	X(2, display, SPICE_DISPLAY_TO_CLIENT, SPICE_DISPLAY_TO_GUEST) \
	X(3, inputs, SPICE_INPUTS_TO_CLIENT, SPICE_INPUTS_TO_GUEST) \
	X(4, cursor, SPICE_CURSOR_TO_CLIENT, SPICE_NONE) \
	X(5, playback, SPICE_PLAYBACK_TO_CLIENT, SPICE_NONE) \
	X(6, record, SPICE_RECORD_TO_CLIENT, SPICE_RECORD_TO_GUEST) \
	X(7, tunnel, SPICE_NONE, SPICE_NONE) \
	X(8, smartcard, SPICE_SMARTCARD, SPICE_SMARTCARD) \
	X(9, usbredir, SPICE_USBREDIR, SPICE_USBREDIR) \
	X(10, port, SPICE_PORT_TO_CLIENT, SPICE_PORT_TO_GUEST) \
	X(11, webdav, SPICE_WEBDAV_TO_CLIENT, SPICE_WEBDAV_TO_GUEST)

#define SPICE_NONE(X)

/* What several messages begin with. */
#define SPICE_BASE U32(surface_id), RECT(box), BY(clip, clip)
#define SPICE_DST_INFO \
	U16(port), U16(sport), U32(host_size), AT(host_data, zero_text), \
		U32(cert_subject_size), AT(cert_subject_data, zero_text)

/* Of every channel. */
#define SPICE_COMMON_TO_CLIENT(X) \
	X(1, migrate, F32(flags, migrate_flags)) \
	X(2, migrate_data, REST(data)) \
	X(3, set_ack, U32(generation), U32(window)) \
	X(4, ping, U32(id), U64(timestamp), REST(data)) \
	X(5, wait_for_channels, MANY8(wait_list, wait_for_channel)) \
	X(6, disconnecting, U64(time_stamp), E32(reason, link_err)) \
	X(7, notify, U64(time_stamp), E32(severity, notify_severity), \
	  E32(visibility, notify_visibility), U32(what), TEXT(message), \
	  REST(end)) \
	X(8, list, BY(sub_messages, sub_messages))

#define SPICE_COMMON_TO_GUEST(X) \
	X(1, ack_sync, U32(generation)) \
	X(2, ack, NOTHING) \
	X(3, pong, U32(id), U64(timestamp)) \
	X(4, migrate_flush_mark, NOTHING) \
	X(5, migrate_data, REST(data)) \
	X(6, disconnecting, U64(time_stamp), E32(reason, link_err))

#define SPICE_MAIN_TO_CLIENT(X) \
	X(101, migrate_begin, SPICE_DST_INFO) \
	X(102, migrate_cancel, NOTHING) \
	X(103, init, X32(session_id), U32(display_channels_hint), \
	  F32(supported_mouse_modes, mouse_mode), \
	  F32(current_mouse_mode, mouse_mode), U32(agent_connected), \
	  U32(agent_tokens), U32(multi_media_time), U32(ram_hint)) \
	X(104, channels_list, MANY32(channels, channel_id)) \
	X(105, mouse_mode, F16(supported_modes, mouse_mode), \
	  F16(current_mode, mouse_mode)) \
	X(106, multi_media_time, U32(time)) \
	X(107, agent_connected, NOTHING) \
	X(108, agent_disconnected, E32(error_code, link_err)) \
	X(109, agent_data, BY(agent, agent_data)) \
	X(110, agent_token, U32(num_tokens)) \
	X(111, migrate_switch_host, SPICE_DST_INFO) \
	X(112, migrate_end, NOTHING) \
	X(113, name, TEXT(name)) \
	X(114, uuid, BY(uuid, uuid)) \
	X(115, agent_connected_tokens, U32(num_tokens)) \
	X(116, migrate_begin_seamless, SPICE_DST_INFO, \
	  U32(src_mig_version)) \
	X(117, migrate_dst_seamless_ack, NOTHING) \
	X(118, migrate_dst_seamless_nack, NOTHING)

#define SPICE_MAIN_TO_GUEST(X) \
	X(101, client_info, U64(cache_size)) \
	X(102, migrate_connected, NOTHING) \
	X(103, migrate_connect_error, NOTHING) \
	X(104, attach_channels, NOTHING) \
	X(105, mouse_mode_request, F16(mode, mouse_mode)) \
	X(106, agent_start, U32(num_tokens)) \
	X(107, agent_data, BY(agent, agent_data)) \
	X(108, agent_token, U32(num_tokens)) \
	X(109, migrate_end, NOTHING) \
	X(110, migrate_dst_do_seamless, U32(src_version)) \
	X(111, migrate_connected_seamless, NOTHING) \
	X(112, quality_indicator, REST(data))

#define SPICE_DISPLAY_TO_CLIENT(X) \
	X(101, mode, U32(x_res), U32(y_res), U32(bits)) \
	X(102, mark, NOTHING) \
	X(103, reset, NOTHING) \
	X(104, copy_bits, SPICE_BASE, POINT(src_pos)) \
	X(105, inval_list, MANY16(resources, resource_id)) \
	X(106, inval_all_pixmaps, MANY8(wait_list, wait_for_channel)) \
	X(107, inval_palette, X64(id)) \
	X(108, inval_all_palettes, NOTHING) \
	X(122, stream_create, U32(surface_id), U32(id), \
	  F8(flags, stream_flags), E8(codec_type, video_codec_type), \
	  U64(stamp), U32(stream_width), U32(stream_height), U32(src_width), \
	  U32(src_height), RECT(dest), BY(clip, clip)) \
	X(123, stream_data, U32(id), U32(multi_media_time), SIZED(data)) \
	X(124, stream_clip, U32(id), BY(clip, clip)) \
	X(125, stream_destroy, U32(id)) \
	X(126, stream_destroy_all, NOTHING) \
	X(302, draw_fill, SPICE_BASE, BY(brush, brush), \
	  F16(rop_descriptor, ropd), BY(mask, qmask)) \
	X(303, draw_opaque, SPICE_BASE, AT(src_bitmap, image), \
	  RECT(src_area), BY(brush, brush), F16(rop_descriptor, ropd), \
	  E8(scale_mode, image_scale_mode), BY(mask, qmask)) \
	X(304, draw_copy, SPICE_BASE, AT(src_bitmap, image), \
	  RECT(src_area), F16(rop_descriptor, ropd), \
	  E8(scale_mode, image_scale_mode), BY(mask, qmask)) \
	X(305, draw_blend, SPICE_BASE, AT(src_bitmap, image), \
	  RECT(src_area), F16(rop_descriptor, ropd), \
	  E8(scale_mode, image_scale_mode), BY(mask, qmask)) \
	X(306, draw_blackness, SPICE_BASE, BY(mask, qmask)) \
	X(307, draw_whiteness, SPICE_BASE, BY(mask, qmask)) \
	X(308, draw_invers, SPICE_BASE, BY(mask, qmask)) \
	X(309, draw_rop3, SPICE_BASE, AT(src_bitmap, image), \
	  RECT(src_area), BY(brush, brush), X8(rop3), \
	  E8(scale_mode, image_scale_mode), BY(mask, qmask)) \
	X(310, draw_stroke, SPICE_BASE, AT(path, path), \
	  BY(attr, line_attr), BY(brush, brush), F16(fore_mode, ropd), \
	  F16(back_mode, ropd)) \
	X(311, draw_text, SPICE_BASE, AT(str, string), \
	  RECT(back_area), BY(fore_brush, brush), BY(back_brush, brush), \
	  F16(fore_mode, ropd), F16(back_mode, ropd)) \
	X(312, draw_transparent, SPICE_BASE, AT(src_bitmap, image), \
	  RECT(src_area), X32(src_color), X32(true_color)) \
	X(313, draw_alpha_blend, SPICE_BASE, \
	  F8(alpha_flags, alpha_flags), U8(alpha), AT(src_bitmap, image), \
	  RECT(src_area)) \
	X(314, surface_create, U32(surface_id), U32(width), U32(height), \
	  E32(format, surface_fmt), F32(flags, surface_flags)) \
	X(315, surface_destroy, U32(surface_id)) \
	X(316, stream_data_sized, U32(id), U32(multi_media_time), \
	  U32(width), U32(height), RECT(dest), SIZED(data)) \
	X(317, monitors_config, BY(heads, heads)) \
	X(318, draw_composite, SPICE_BASE, BY(composite, composite)) \
	X(319, stream_activate_report, U32(stream_id), U32(unique_id), \
	  U32(max_window_size), U32(timeout_ms)) \
	X(320, gl_scanout_unix, U32(width), U32(height), U32(stride), \
	  X32(drm_fourcc_format), F32(flags, gl_scanout_flags)) \
	X(321, gl_draw, U32(x), U32(y), U32(w), U32(h)) \
	X(322, quality_indicator, REST(data))

#define SPICE_DISPLAY_TO_GUEST(X) \
	X(101, init, U8(pixmap_cache_id), I64(pixmap_cache_size), \
	  U8(glz_dictionary_id), I32(glz_dictionary_window_size)) \
	X(102, stream_report, U32(stream_id), U32(unique_id), \
	  U32(start_frame_mm_time), U32(end_frame_mm_time), \
	  U32(num_frames), U32(num_drops), I32(last_frame_delay), \
	  U32(audio_delay)) \
	X(103, preferred_compression, \
	  E8(image_compression, image_compression)) \
	X(104, gl_draw_done, NOTHING) \
	X(105, preferred_video_codec_type, MANY8(codecs, video_codec))

#define SPICE_INPUTS_TO_CLIENT(X) \
	X(101, init, F16(keyboard_modifiers, keyboard_modifier)) \
	X(102, key_modifiers, F16(modifiers, keyboard_modifier)) \
	X(111, mouse_motion_ack, NOTHING)

#define SPICE_INPUTS_TO_GUEST(X) \
	X(101, key_down, SECRET(code)) \
	X(102, key_up, SECRET(code)) \
	X(103, key_modifiers, F16(modifiers, keyboard_modifier)) \
	X(104, key_scancode, SECRET(code)) \
	X(111, mouse_motion, I32(dx), I32(dy), \
	  F16(buttons_state, mouse_button_mask)) \
	X(112, mouse_position, U32(x), U32(y), \
	  F16(buttons_state, mouse_button_mask), U8(display_id)) \
	X(113, mouse_press, E8(button, mouse_button), \
	  F16(buttons_state, mouse_button_mask)) \
	X(114, mouse_release, E8(button, mouse_button), \
	  F16(buttons_state, mouse_button_mask))

#define SPICE_CURSOR_TO_CLIENT(X) \
	X(101, init, POINT16(position), U16(trail_length), \
	  U16(trail_frequency), U8(visible), BY(cursor, cursor)) \
	X(102, reset, NOTHING) \
	X(103, set, POINT16(position), U8(visible), BY(cursor, cursor)) \
	X(104, move, POINT16(position)) \
	X(105, hide, NOTHING) \
	X(106, trail, U16(length), U16(frequency)) \
	X(107, inval_one, X64(id)) \
	X(108, inval_all, NOTHING)

#define SPICE_PLAYBACK_TO_CLIENT(X) \
	X(101, data, U32(time), REST(data)) \
	X(102, mode, U32(time), E16(mode, audio_data_mode), REST(data)) \
	X(103, start, U32(channels), E16(format, audio_fmt), \
	  U32(frequency), U32(time)) \
	X(104, stop, NOTHING) \
	X(105, volume, MANY8(volume, volume)) \
	X(106, mute, U8(mute)) \
	X(107, latency, U32(latency_ms))

#define SPICE_RECORD_TO_CLIENT(X) \
	X(101, start, U32(channels), E16(format, audio_fmt), \
	  U32(frequency)) \
	X(102, stop, NOTHING) \
	X(103, volume, MANY8(volume, volume)) \
	X(104, mute, U8(mute))

#define SPICE_RECORD_TO_GUEST(X) \
	X(101, data, U32(time), REST(data)) \
	X(102, mode, U32(time), E16(mode, audio_data_mode), REST(data)) \
	X(103, start_mark, U32(time))

#define SPICE_SMARTCARD(X) \
	X(101, data, E32(type, vsc_message_type), U32(reader_id), \
	  U32(length), SECRET(data))

#define SPICE_USBREDIR(X) \
	X(101, data, BY(data, usbredir)) \
	X(102, compressed_data, BY(data, compressed))

#define SPICE_PORT_TO_CLIENT(X) \
	X(101, data, SECRET(data)) \
	X(102, compressed_data, BY(data, compressed)) \
	X(201, init, U32(name_size), AT(name, zero_text), U8(opened)) \
	X(202, event, E8(event, port_event))

#define SPICE_PORT_TO_GUEST(X) \
	X(101, data, SECRET(data)) \
	X(102, compressed_data, BY(data, compressed)) \
	X(201, event, E8(event, port_event))

#define SPICE_WEBDAV_TO_CLIENT(X) \
	X(101, data, BY(data, webdav)) \
	X(102, compressed_data, BY(data, compressed)) \
	X(201, init, U32(name_size), AT(name, zero_text), U8(opened)) \
	X(202, event, E8(event, port_event))

#define SPICE_WEBDAV_TO_GUEST(X) \
	X(101, data, BY(data, webdav)) \
	X(102, compressed_data, BY(data, compressed)) \
	X(201, event, E8(event, port_event))

/* STRUCT(name, FIELD…): each before those that hold it. */
#define SPICE_STRUCTS(X) \
	X(pointfix, POINTFIX(point)) \
	X(rect, RECT(rect)) \
	X(wait_for_channel, E8(channel_type, channel_type), U8(channel_id), \
	  U64(message_serial)) \
	X(channel_id, E8(type, channel_type), U8(id)) \
	X(resource_id, E8(type, res_type), X64(id)) \
	X(video_codec, E8(codec, video_codec_type)) \
	X(volume, U16(volume)) \
	X(zero_text, BY(text, zero_text)) \
	X(color, X32(color)) \
	X(palette, X64(unique), MANY16(ents, color)) \
	X(image, X64(id), BY(data, image_descriptor)) \
	X(path_segment, F8(flags, path_flags), MANY32(points, pointfix)) \
	X(path, MANY32(segments, path_segment)) \
	X(string, BY(glyphs, glyphs)) \
	X(head, U32(monitor_id), U32(surface_id), U32(width), U32(height), \
	  U32(x), U32(y), X32(flags)) \
	X(transform, FIX16(t00), FIX16(t01), FIX16(t02), FIX16(t10), \
	  FIX16(t11), FIX16(t12)) \
	X(agent_monitor, U32(height), U32(width), U32(depth), I32(x), I32(y)) \
	X(agent_device, U32(channel_id), U32(monitor_id), \
	  U32(device_display_id), TEXT(device_address)) \
	X(agent_capabilities, F32(caps, agent_cap)) \
	X(agent_type, E32(type, clipboard_type))

/* VDAgentMessage, either direction: VD_AGENT_NAME of vd_agent.h. */
#define AGENT_MESSAGES(X) \
	X(1, mouse_state, U32(x), U32(y), X32(buttons), U8(display_id)) \
	X(2, monitors_config, BY(monitors, agent_monitors)) \
	X(3, reply, E32(type, agent_message), E32(error, agent_reply)) \
	X(4, clipboard, BY(selection, agent_selection), \
	  E32(type, clipboard_type), SECRET(data)) \
	X(5, display_config, X32(flags), U32(depth)) \
	X(6, announce_capabilities, U32(request), \
	  ALL(words, agent_capabilities)) \
	X(7, clipboard_grab, BY(selection, agent_selection), \
	  BY(serial, agent_serial), ALL(types, agent_type)) \
	X(8, clipboard_request, BY(selection, agent_selection), \
	  E32(type, clipboard_type)) \
	X(9, clipboard_release, BY(selection, agent_selection)) \
	X(10, file_xfer_start, U32(id), SECRET(data)) \
	X(11, file_xfer_status, U32(id), E32(result, file_xfer_status), \
	  REST(data)) \
	X(12, file_xfer_data, U32(id), U64(size), SECRET(data)) \
	X(13, client_disconnected, NOTHING) \
	X(14, max_clipboard, I32(max)) \
	X(15, audio_volume_sync, U8(is_playback), U8(mute), \
	  MANY8(volume, volume)) \
	X(16, graphics_device_info, MANY32(display_info, agent_device))

#endif
