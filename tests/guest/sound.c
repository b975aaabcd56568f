/* Sound without a library: hardware parameters, mixer, write. */
#include "sound.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <sound/asound.h>

enum { PERIOD = 1200, BUFFER = 24000, CONTROLS_MAX = 64 };

static void set_mask(struct snd_pcm_hw_params *p, int what, unsigned value)
{
	struct snd_mask *m = &p->masks[what - SNDRV_PCM_HW_PARAM_FIRST_MASK];

	memset(m, 0, sizeof(*m));
	m->bits[value / 32] = 1u << value % 32;
}

static void set_value(struct snd_pcm_hw_params *p, int what, unsigned value)
{
	p->intervals[what - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL] =
		(struct snd_interval){.min = value, .max = value, .integer = 1};
}

static int set_format(int fd, unsigned rate)
{
	struct snd_pcm_hw_params hw = {.rmask = ~0u};
	struct snd_pcm_sw_params sw = {.period_step = 1,
				       .avail_min = PERIOD,
				       .start_threshold = BUFFER / 2,
				       .stop_threshold = BUFFER,
				       .boundary = BUFFER};

	memset(hw.masks, 0xff, sizeof(hw.masks));
	for (size_t i = 0; i < sizeof(hw.intervals) / sizeof(*hw.intervals);
	     i++)
		hw.intervals[i].max = ~0u;
	set_mask(&hw, SNDRV_PCM_HW_PARAM_ACCESS,
		 SNDRV_PCM_ACCESS_RW_INTERLEAVED);
	set_mask(&hw, SNDRV_PCM_HW_PARAM_FORMAT, SNDRV_PCM_FORMAT_S16_LE);
	set_value(&hw, SNDRV_PCM_HW_PARAM_CHANNELS, 2);
	set_value(&hw, SNDRV_PCM_HW_PARAM_RATE, rate);
	set_value(&hw, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, PERIOD);
	set_value(&hw, SNDRV_PCM_HW_PARAM_BUFFER_SIZE, BUFFER);
	while (sw.boundary < 0x4000000000000000UL / 2)
		sw.boundary *= 2;
	if (ioctl(fd, SNDRV_PCM_IOCTL_HW_PARAMS, &hw) ||
	    ioctl(fd, SNDRV_PCM_IOCTL_SW_PARAMS, &sw) ||
	    ioctl(fd, SNDRV_PCM_IOCTL_PREPARE))
		return -errno;
	return 0;
}

/* Every playback switch on, every playback volume up. */
static void unmute(void)
{
	struct snd_ctl_elem_id ids[CONTROLS_MAX];
	struct snd_ctl_elem_list list = {.space = CONTROLS_MAX, .pids = ids};
	int fd = open("/dev/snd/controlC0", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (ioctl(fd, SNDRV_CTL_IOCTL_ELEM_LIST, &list))
		list.used = 0;
	for (unsigned i = 0; i < list.used; i++) {
		struct snd_ctl_elem_info info = {.id = ids[i]};
		struct snd_ctl_elem_value value = {.id = ids[i]};

		if (!strstr((char *)ids[i].name, "Playback") ||
		    ioctl(fd, SNDRV_CTL_IOCTL_ELEM_INFO, &info) ||
		    (info.type != SNDRV_CTL_ELEM_TYPE_BOOLEAN &&
		     info.type != SNDRV_CTL_ELEM_TYPE_INTEGER))
			continue;
		for (unsigned c = 0; c < info.count && c < 128; c++)
			value.value.integer.value[c] = info.value.integer.max;
		ioctl(fd, SNDRV_CTL_IOCTL_ELEM_WRITE, &value);
	}
	close(fd);
}

int sound_open(struct sound *s, unsigned rate)
{
	int error;

	s->fd = open("/dev/snd/pcmC0D0p", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	unmute();
	error = set_format(s->fd, rate);
	if (error) {
		close(s->fd);
		s->fd = -1;
	}
	return error;
}

ssize_t sound_write(struct sound *s, const int16_t *samples, size_t n)
{
	static int16_t stereo[BUFFER][2];
	struct snd_xferi x = {.buf = stereo};

	if (s->fd < 0)
		return -ENODEV;
	x.frames = n < BUFFER ? n : BUFFER;
	for (size_t i = 0; i < x.frames; i++)
		stereo[i][0] = stereo[i][1] = samples[i];
	if (ioctl(s->fd, SNDRV_PCM_IOCTL_WRITEI_FRAMES, &x) == 0)
		return x.result;
	if (errno == EAGAIN)
		return 0;
	ioctl(s->fd, SNDRV_PCM_IOCTL_PREPARE);
	return -EPIPE;
}

void sound_stop(struct sound *s)
{
	if (s->fd < 0)
		return;
	ioctl(s->fd, SNDRV_PCM_IOCTL_DROP);
	ioctl(s->fd, SNDRV_PCM_IOCTL_PREPARE);
}
