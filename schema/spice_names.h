/*
 * Values and bits of SPICE fields by name.
 *
 * SPICE_SETS(SET) is a list of SET(name, LIST); LIST(X) of X(value, name).
 * Names are those of spice-protocol's enums.h, protocol.h and vd_agent.h
 * without their prefix, in lower case. For sets that fields use as bits
 * (F8, F16, F32 of spice_messages.h) the value is the bit's number.
 */
#ifndef SCHEMA_SPICE_NAMES_H
#define SCHEMA_SPICE_NAMES_H

#define SPICE_SETS(SET) \
	SET(channel_type, SET_CHANNEL_TYPE) \
	SET(link_err, SET_LINK_ERR) \
	SET(auth_mechanism, SET_AUTH_MECHANISM) \
	SET(common_cap, SET_COMMON_CAP) \
	SET(main_cap, SET_MAIN_CAP) \
	SET(display_cap, SET_DISPLAY_CAP) \
	SET(inputs_cap, SET_INPUTS_CAP) \
	SET(playback_cap, SET_PLAYBACK_CAP) \
	SET(record_cap, SET_RECORD_CAP) \
	SET(spicevmc_cap, SET_SPICEVMC_CAP) \
	SET(migrate_flags, SET_MIGRATE_FLAGS) \
	SET(notify_severity, SET_NOTIFY_SEVERITY) \
	SET(notify_visibility, SET_NOTIFY_VISIBILITY) \
	SET(mouse_mode, SET_MOUSE_MODE) \
	SET(res_type, SET_RES_TYPE) \
	SET(video_codec_type, SET_VIDEO_CODEC_TYPE) \
	SET(stream_flags, SET_STREAM_FLAGS) \
	SET(clip_type, SET_CLIP_TYPE) \
	SET(brush_type, SET_BRUSH_TYPE) \
	SET(mask_flags, SET_MASK_FLAGS) \
	SET(ropd, SET_ROPD) \
	SET(image_type, SET_IMAGE_TYPE) \
	SET(image_flags, SET_IMAGE_FLAGS) \
	SET(image_scale_mode, SET_IMAGE_SCALE_MODE) \
	SET(image_compression, SET_IMAGE_COMPRESSION) \
	SET(bitmap_fmt, SET_BITMAP_FMT) \
	SET(bitmap_flags, SET_BITMAP_FLAGS) \
	SET(jpeg_alpha_flags, SET_JPEG_ALPHA_FLAGS) \
	SET(lz_type, SET_LZ_TYPE) \
	SET(quic_type, SET_QUIC_TYPE) \
	SET(path_flags, SET_PATH_FLAGS) \
	SET(line_flags, SET_LINE_FLAGS) \
	SET(string_flags, SET_STRING_FLAGS) \
	SET(alpha_flags, SET_ALPHA_FLAGS) \
	SET(composite_flags, SET_COMPOSITE_FLAGS) \
	SET(surface_fmt, SET_SURFACE_FMT) \
	SET(surface_flags, SET_SURFACE_FLAGS) \
	SET(gl_scanout_flags, SET_GL_SCANOUT_FLAGS) \
	SET(keyboard_modifier, SET_KEYBOARD_MODIFIER) \
	SET(mouse_button, SET_MOUSE_BUTTON) \
	SET(mouse_button_mask, SET_MOUSE_BUTTON_MASK) \
	SET(cursor_type, SET_CURSOR_TYPE) \
	SET(cursor_flags, SET_CURSOR_FLAGS) \
	SET(audio_data_mode, SET_AUDIO_DATA_MODE) \
	SET(audio_fmt, SET_AUDIO_FMT) \
	SET(vsc_message_type, SET_VSC_MESSAGE_TYPE) \
	SET(usbredir_type, SET_USBREDIR_TYPE) \
	SET(data_compression_type, SET_DATA_COMPRESSION_TYPE) \
	SET(port_event, SET_PORT_EVENT) \
	SET(agent_message, SET_AGENT_MESSAGE) \
	SET(agent_cap, SET_AGENT_CAP) \
	SET(agent_reply, SET_AGENT_REPLY) \
	SET(clipboard_type, SET_CLIPBOARD_TYPE) \
	SET(clipboard_selection, SET_CLIPBOARD_SELECTION) \
	SET(file_xfer_status, SET_FILE_XFER_STATUS)

#define SET_CHANNEL_TYPE(X) \
	X(1, main) X(2, display) X(3, inputs) X(4, cursor) X(5, playback) \
	X(6, record) X(7, tunnel) X(8, smartcard) X(9, usbredir) X(10, port) \
	X(11, webdav)
#define SET_LINK_ERR(X) \
	X(0, ok) X(1, error) X(2, invalid_magic) X(3, invalid_data) \
	X(4, version_mismatch) X(5, need_secured) X(6, need_unsecured) \
	X(7, permission_denied) X(8, bad_connection_id) \
	X(9, channel_not_available)
/* The capability's number chooses the mechanism. */
#define SET_AUTH_MECHANISM(X) X(1, spice) X(2, sasl)
#define SET_COMMON_CAP(X) \
	X(0, protocol_auth_selection) X(1, auth_spice) X(2, auth_sasl) \
	X(3, mini_header)
#define SET_MAIN_CAP(X) \
	X(0, semi_seamless_migrate) X(1, name_and_uuid) \
	X(2, agent_connected_tokens) X(3, seamless_migrate)
#define SET_DISPLAY_CAP(X) \
	X(0, sized_stream) X(1, monitors_config) X(2, composite) \
	X(3, a8_surface) X(4, stream_report) X(5, lz4_compression) \
	X(6, pref_compression) X(7, gl_scanout) X(8, multi_codec) \
	X(9, codec_mjpeg) X(10, codec_vp8) X(11, codec_h264) \
	X(12, pref_video_codec_type) X(13, codec_vp9) X(14, codec_h265)
#define SET_INPUTS_CAP(X) X(0, key_scancode)
#define SET_PLAYBACK_CAP(X) \
	X(0, celt_0_5_1) X(1, volume) X(2, latency) X(3, opus)
#define SET_RECORD_CAP(X) X(0, celt_0_5_1) X(1, volume) X(2, opus)
#define SET_SPICEVMC_CAP(X) X(0, data_compress_lz4)
#define SET_MIGRATE_FLAGS(X) X(0, need_flush) X(1, need_data_transfer)
#define SET_NOTIFY_SEVERITY(X) X(0, info) X(1, warn) X(2, error)
#define SET_NOTIFY_VISIBILITY(X) X(0, low) X(1, medium) X(2, high)
#define SET_MOUSE_MODE(X) X(0, server) X(1, client)
#define SET_RES_TYPE(X) X(0, invalid) X(1, pixmap)
#define SET_VIDEO_CODEC_TYPE(X) \
	X(1, mjpeg) X(2, vp8) X(3, h264) X(4, vp9) X(5, h265)
#define SET_STREAM_FLAGS(X) X(0, top_down)
#define SET_CLIP_TYPE(X) X(0, none) X(1, rects)
#define SET_BRUSH_TYPE(X) X(0, none) X(1, solid) X(2, pattern)
#define SET_MASK_FLAGS(X) X(0, invers)
#define SET_ROPD(X) \
	X(0, invers_src) X(1, invers_brush) X(2, invers_dest) X(3, op_put) \
	X(4, op_or) X(5, op_and) X(6, op_xor) X(7, op_blackness) \
	X(8, op_whiteness) X(9, op_invers) X(10, invers_res)
#define SET_IMAGE_TYPE(X) \
	X(0, bitmap) X(1, quic) X(2, reserved) X(100, lz_plt) \
	X(101, lz_rgb) X(102, glz_rgb) X(103, from_cache) X(104, surface) \
	X(105, jpeg) X(106, from_cache_lossless) X(107, zlib_glz_rgb) \
	X(108, jpeg_alpha) X(109, lz4)
#define SET_IMAGE_FLAGS(X) \
	X(0, cache_me) X(1, high_bits_set) X(2, cache_replace_me)
#define SET_IMAGE_SCALE_MODE(X) X(0, interpolate) X(1, nearest)
#define SET_IMAGE_COMPRESSION(X) \
	X(0, invalid) X(1, off) X(2, auto_glz) X(3, auto_lz) X(4, quic) \
	X(5, glz) X(6, lz) X(7, lz4)
#define SET_BITMAP_FMT(X) \
	X(0, invalid) X(1, 1bit_le) X(2, 1bit_be) X(3, 4bit_le) \
	X(4, 4bit_be) X(5, 8bit) X(6, 16bit) X(7, 24bit) X(8, 32bit) \
	X(9, rgba) X(10, 8bit_a)
#define SET_BITMAP_FLAGS(X) \
	X(0, pal_cache_me) X(1, pal_from_cache) X(2, top_down)
#define SET_JPEG_ALPHA_FLAGS(X) X(0, top_down)
#define SET_LZ_TYPE(X) \
	X(1, plt1_le) X(2, plt1_be) X(3, plt4_le) X(4, plt4_be) X(5, plt8) \
	X(6, rgb16) X(7, rgb24) X(8, rgb32) X(9, rgba) X(10, xxxa) X(11, a8)
#define SET_QUIC_TYPE(X) \
	X(1, gray) X(2, rgb16) X(3, rgb24) X(4, rgb32) X(5, rgba)
#define SET_PATH_FLAGS(X) X(0, begin) X(1, end) X(3, close) X(4, bezier)
#define SET_LINE_FLAGS(X) X(2, start_with_gap) X(3, styled)
#define SET_STRING_FLAGS(X) \
	X(0, raster_a1) X(1, raster_a4) X(2, raster_a8) X(3, raster_top_down)
#define SET_ALPHA_FLAGS(X) X(0, dest_has_alpha) X(1, src_surface_has_alpha)
#define SET_COMPOSITE_FLAGS(X) \
	X(18, component_alpha) X(19, has_mask) X(20, has_src_transform) \
	X(21, has_mask_transform) X(22, source_opaque) X(23, mask_opaque) \
	X(24, dest_opaque)
#define SET_SURFACE_FMT(X) \
	X(0, invalid) X(1, 1_a) X(8, 8_a) X(16, 16_555) X(32, 32_xrgb) \
	X(80, 16_565) X(96, 32_argb)
#define SET_SURFACE_FLAGS(X) X(0, primary) X(1, streaming_mode)
#define SET_GL_SCANOUT_FLAGS(X) X(0, y0top)
#define SET_KEYBOARD_MODIFIER(X) \
	X(0, scroll_lock) X(1, num_lock) X(2, caps_lock)
#define SET_MOUSE_BUTTON(X) \
	X(0, invalid) X(1, left) X(2, middle) X(3, right) X(4, up) \
	X(5, down) X(6, side) X(7, extra)
#define SET_MOUSE_BUTTON_MASK(X) \
	X(0, left) X(1, middle) X(2, right) X(3, up) X(4, down) X(5, side) \
	X(6, extra)
#define SET_CURSOR_TYPE(X) \
	X(0, alpha) X(1, mono) X(2, color4) X(3, color8) X(4, color16) \
	X(5, color24) X(6, color32)
#define SET_CURSOR_FLAGS(X) X(0, none) X(1, cache_me) X(2, from_cache)
#define SET_AUDIO_DATA_MODE(X) \
	X(0, invalid) X(1, raw) X(2, celt_0_5_1) X(3, opus)
#define SET_AUDIO_FMT(X) X(0, invalid) X(1, s16)
#define SET_VSC_MESSAGE_TYPE(X) \
	X(1, init) X(2, error) X(3, readeradd) X(4, readerremove) X(5, atr) \
	X(6, cardremove) X(7, apdu) X(8, flush) X(9, flushcomplete)
/* usbredirproto.h: usb_redir_*. */
#define SET_USBREDIR_TYPE(X) \
	X(0, hello) X(1, device_connect) X(2, device_disconnect) X(3, reset) \
	X(4, interface_info) X(5, ep_info) X(6, set_configuration) \
	X(7, get_configuration) X(8, configuration_status) \
	X(9, set_alt_setting) X(10, get_alt_setting) \
	X(11, alt_setting_status) X(12, start_iso_stream) \
	X(13, stop_iso_stream) X(14, iso_stream_status) \
	X(15, start_interrupt_receiving) X(16, stop_interrupt_receiving) \
	X(17, interrupt_receiving_status) X(18, alloc_bulk_streams) \
	X(19, free_bulk_streams) X(20, bulk_streams_status) \
	X(21, cancel_data_packet) X(22, filter_reject) X(23, filter_filter) \
	X(24, device_disconnect_ack) X(25, start_bulk_receiving) \
	X(26, stop_bulk_receiving) X(27, bulk_receiving_status) \
	X(100, control_packet) X(101, bulk_packet) X(102, iso_packet) \
	X(103, interrupt_packet) X(104, buffered_bulk_packet)
#define SET_DATA_COMPRESSION_TYPE(X) X(0, none) X(1, lz4)
#define SET_PORT_EVENT(X) X(0, opened) X(1, closed) X(2, break)
#define SET_AGENT_MESSAGE(X) \
	X(1, mouse_state) X(2, monitors_config) X(3, reply) X(4, clipboard) \
	X(5, display_config) X(6, announce_capabilities) \
	X(7, clipboard_grab) X(8, clipboard_request) X(9, clipboard_release) \
	X(10, file_xfer_start) X(11, file_xfer_status) \
	X(12, file_xfer_data) X(13, client_disconnected) \
	X(14, max_clipboard) X(15, audio_volume_sync) \
	X(16, graphics_device_info)
#define SET_AGENT_CAP(X) \
	X(0, mouse_state) X(1, monitors_config) X(2, reply) X(3, clipboard) \
	X(4, display_config) X(5, clipboard_by_demand) \
	X(6, clipboard_selection) X(7, sparse_monitors_config) \
	X(8, guest_lineend_lf) X(9, guest_lineend_crlf) X(10, max_clipboard) \
	X(11, audio_volume_sync) X(12, monitors_config_position) \
	X(13, file_xfer_disabled) X(14, file_xfer_detailed_errors) \
	X(15, graphics_device_info) X(16, clipboard_no_release_on_regrab) \
	X(17, clipboard_grab_serial)
#define SET_AGENT_REPLY(X) X(1, success) X(2, error)
#define SET_CLIPBOARD_TYPE(X) \
	X(0, none) X(1, utf8_text) X(2, image_png) X(3, image_bmp) \
	X(4, image_tiff) X(5, image_jpg) X(6, file_list)
#define SET_CLIPBOARD_SELECTION(X) X(0, clipboard) X(1, primary) X(2, secondary)
#define SET_FILE_XFER_STATUS(X) \
	X(0, can_send_data) X(1, cancelled) X(2, error) X(3, success) \
	X(4, not_enough_space) X(5, session_locked) \
	X(6, vdagent_not_connected) X(7, disabled)

#endif
