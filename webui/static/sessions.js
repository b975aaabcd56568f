// Sessions: the list with its filters, and one session with its video.
import {action, api, confirm, duration, endReasons, facts, h, later, notice,
	pill, saveViewerFile, segment, size, time} from './ui.js';

const PAGE = 100;
const videos = {
	none: 'no video', queued: 'queued', rendering: 'rendering',
	ready: 'video', failed: 'failed',
};

function path(id, tail = '') {
	return `/sessions/${segment(id)}${tail}`;
}

function lasted(session) {
	return session.state === 'live'
		? Date.now() - new Date(session.started_at)
		: session.duration_ms;
}

/* --- the list ---------------------------------------------------------- */

const columns = ['Vault', 'Client', 'Started', 'Duration', 'Sent', 'Recording',
		 'State', 'Video'];

function row(id) {
	const cells = columns.map((name) => h('td', {'data-label': name}));
	const element = h('tr', {'data-session': id}, cells);
	let session = null;

	element.update = (data) => {
		session = data;
		const values = [
			h('a', {href: `#/sessions/${segment(id)}`,
				'aria-label': `Session of ${data.vault}, ` +
					data.started_at}, data.vault),
			data.client, time(data.started_at),
			duration(lasted(data)), size(data.bytes_to_client),
			size(data.capture.bytes), pill(data.state),
			pill(`video-${data.video.state}`,
			     videos[data.video.state] || data.video.state),
		];

		cells.forEach((cell, i) => cell.replaceChildren(values[i]));
	};
	element.tick = () => {
		if (session?.state === 'live')
			cells[3].textContent = duration(lasted(session));
	};
	element.progress = (data) => {
		cells[4].textContent = size(data.bytes_to_client);
		cells[5].textContent = size(data.capture_bytes);
	};
	element.rendering = (data) => {
		cells[7].replaceChildren(pill('video-rendering',
			`rendering ${Math.round(data.progress * 100)} %`));
	};
	return element;
}

function filterForm(query, changed) {
	const text = h('input', {type: 'search', name: 'text', id: 'f-text',
				 value: query.get('text') || '',
				 placeholder: 'vault, client, date …',
				 autocomplete: 'off'});
	const vault = h('select', {name: 'vault', id: 'f-vault'},
			h('option', {value: ''}, 'All vaults'));
	const since = h('select', {name: 'since', id: 'f-since'},
		[['', 'Any time'], ['1d', 'Last 24 hours'],
		 ['7d', 'Last 7 days'], ['30d', 'Last 30 days']].map(
			([value, label]) => h('option', {value,
				selected: value === query.get('since')},
				label)));
	const form = h('form', {class: 'filters', role: 'search'},
		h('div', {class: 'field'}, h('label', {for: 'f-text'},
			'Search'), text),
		h('div', {class: 'field'}, h('label', {for: 'f-vault'},
			'Vault'), vault),
		h('div', {class: 'field'}, h('label', {for: 'f-since'},
			'Started'), since));
	let timer = null;

	const wanted = query.get('vault') || '';

	if (wanted)
		vault.append(h('option', {value: wanted, selected: true},
			       wanted));
	api('GET', '/vaults').then((vaults) => {
		for (const {name} of vaults)
			if (name !== wanted)
				vault.append(h('option', {value: name}, name));
	}).catch(() => {});
	form.addEventListener('submit', (event) => event.preventDefault());
	form.addEventListener('input', () => {
		clearTimeout(timer);
		timer = setTimeout(changed, 250);
	});
	form.query = () => new URLSearchParams(
		[...new FormData(form)].filter(([, value]) => value));
	return form;
}

export function sessionList(query) {
	const form = filterForm(query, () => {
		const text = form.query().toString();

		history.replaceState(null, '',
				     `#/sessions${text ? `?${text}` : ''}`);
		refresh();
	});
	const body = h('tbody');
	const table = h('table', {},
		h('caption', {class: 'hidden'}, 'Sessions, newest first'),
		h('thead', {}, h('tr', {}, columns.map((name) =>
			h('th', {scope: 'col'}, name)))), body);
	const empty = h('p', {class: 'empty', role: 'status', hidden: true});
	const place = notice();
	const more = action('Show older ones', place, () => load(true));
	const rows = new Map();
	let oldest = null, asked = 0;

	more.hidden = true;

	async function load(append) {
		const wanted = form.query();
		const turn = ++asked;

		wanted.set('limit', PAGE);
		if (append)
			wanted.set('before', oldest);
		const list = await api('GET', `/sessions?${wanted}`);

		if (turn !== asked)
			return; // a newer question is on its way
		if (!append) {
			const ids = new Set(list.map(({id}) => id));

			for (const [id, element] of rows)
				if (!ids.has(id)) {
					element.remove();
					rows.delete(id);
				}
		}
		const base = append ? body.children.length : 0;

		list.forEach((session, i) => {
			if (!rows.has(session.id))
				rows.set(session.id, row(session.id));
			const element = rows.get(session.id);

			element.update(session);
			if (body.children[base + i] !== element)
				body.insertBefore(element,
						  body.children[base + i]);
		});
		oldest = list.at(-1)?.id;
		more.hidden = list.length < PAGE;
		table.hidden = rows.size === 0;
		empty.hidden = rows.size > 0;
		empty.textContent = form.query().toString()
			? 'No session fits these filters.'
			: 'No sessions yet. Connect to a vault, and it is ' +
			  'recorded.';
	}

	function refresh() {
		place.clear();
		load(false).catch((error) => place.fail(error));
	}
	const soon = later(refresh);
	const timer = setInterval(
		() => rows.forEach((element) => element.tick()), 1000);

	refresh();
	return {
		element: h('section', {}, h('div', {class: 'head'},
			h('h1', {}, 'Sessions')), form, place, table, empty,
			more),
		refresh,
		close: () => {
			clearInterval(timer);
			soon.cancel();
		},
		event: (type, data) => {
			if (type === 'session.progress')
				rows.get(data.session)?.progress(data);
			else if (type === 'job.progress')
				rows.get(data.session)?.rendering(data);
			else if (type.startsWith('session.') ||
				 type === 'job.ended')
				soon();
		},
	};
}

/* --- one session ------------------------------------------------------- */

/* The tiles of thumbs.jpg: {time, x, y, width, height} of each. */
function readTiles(text) {
	const cue = new RegExp('(\\d+):(\\d+):([\\d.]+) --> \\S+\\n' +
		'\\S+#xywh=(\\d+),(\\d+),(\\d+),(\\d+)', 'g');

	return [...text.matchAll(cue)].map((match) => {
		const [hours, minutes, seconds, x, y, width, height] =
			match.slice(1).map(Number);

		return {time: hours * 3600 + minutes * 60 + seconds,
			x, y, width, height};
	});
}

/* Shows one tile of a sheet in an element of that width. */
function showTile(element, sheet, tile, width) {
	const scale = width / tile.width;

	Object.assign(element.style, {
		width: `${width}px`,
		height: `${tile.height * scale}px`,
		backgroundImage: `url("${sheet.url}")`,
		backgroundSize: `${sheet.width * scale}px auto`,
		backgroundPosition:
			`${-tile.x * scale}px ${-tile.y * scale}px`,
	});
}

/*
 * What is to be seen when, below the video: a strip of pictures. The pointer
 * shows the one of its place, a click goes there. (The keyboard has the
 * video's own bar.)
 */
function preview(sheet, video) {
	const picture = h('div');
	const when = h('span');
	const bubble = h('div', {class: 'bubble', hidden: true}, picture, when);
	const frames = h('div', {class: 'frames'});
	const strip = h('div', {class: 'strip', 'aria-hidden': 'true',
				title: 'Go there'}, frames, bubble);
	const tiles = sheet.tiles;

	function at(event) {
		const box = strip.getBoundingClientRect();
		const part = (event.clientX - box.left) / box.width;
		const total = video.duration || tiles.at(-1).time + 1;

		return {part, time: Math.min(Math.max(part, 0), 1) * total,
			box};
	}
	function fill() {
		const first = tiles[0];
		const height = 48, width = height * first.width / first.height;
		const count = Math.max(1, Math.ceil(strip.clientWidth / width));

		frames.replaceChildren(...Array.from({length: count}, (_, i) => {
			const frame = h('div');

			showTile(frame, sheet,
				 tiles[Math.floor((i + .5) / count *
						  tiles.length)], width);
			return frame;
		}));
	}
	strip.addEventListener('pointermove', (event) => {
		const {time: then, box} = at(event);
		const tile = tiles.findLast((t) => t.time <= then) || tiles[0];

		showTile(picture, sheet, tile, tile.width);
		when.textContent = duration(then * 1000);
		bubble.hidden = false;
		bubble.style.left = `${Math.min(
			Math.max(event.clientX - box.left - tile.width / 2, 0),
			Math.max(box.width - tile.width, 0))}px`;
	});
	strip.addEventListener('pointerleave', () => {
		bubble.hidden = true;
	});
	strip.addEventListener('click', (event) => {
		video.currentTime = at(event).time;
	});
	new ResizeObserver(fill).observe(strip);
	return strip;
}

/* The preview of a video, or nothing when it has none. */
async function loadPreview(session, video) {
	const version = `?${session.video.bytes}`;
	const answer = await fetch(
		`/api/v1${path(session.id, '/thumbs.vtt')}${version}`);
	const tiles = answer.ok ? readTiles(await answer.text()) : [];

	return tiles.length ? preview({
		url: `/api/v1${path(session.id, '/thumbs.jpg')}${version}`,
		width: Math.max(...tiles.map((t) => t.x + t.width)),
		tiles,
	}, video) : null;
}

/* Video, or the way to one. .update(session), .progress(0…1). */
function player(id) {
	const place = notice();
	const bar = h('progress', {max: 1, 'aria-label': 'Rendering'});
	const percent = h('span', {});
	const working = h('p', {class: 'working', hidden: true}, bar, percent);
	const text = h('p', {});
	const render = action('Render video', place, async () => {
		element.show(await api('POST', path(id, '/render'),
				       {again: video !== null}));
	}, {class: 'primary'});
	const stage = h('div', {class: 'stage'});
	const element = h('section', {class: 'player',
				      'aria-label': 'Video'},
			  stage, text, working, h('div', {class: 'buttons'},
						  render), place);
	let video = null;

	function play(session) {
		if (video)
			return;
		video = h('video', {controls: true, preload: 'metadata',
				    playsinline: true,
				    'aria-label': `Video of the session of ` +
					session.vault,
				    src: `/api/v1${path(id, '/video')}`});
		video.addEventListener('error', () => place.fail(
			new Error('The browser cannot play the video' +
				  (video.error?.message
				   ? `: ${video.error.message}` : '.'))));
		stage.replaceChildren(video);
		loadPreview(session, video).then((strip) => {
			if (strip && video?.isConnected)
				stage.append(strip);
		}).catch(() => {}); /* the video plays without */
	}

	element.progress = (done) => {
		working.hidden = false;
		render.hidden = true;
		text.hidden = true;
		if (done === undefined) {
			bar.removeAttribute('value');
			percent.textContent = 'Queued';
		} else {
			bar.value = done;
			percent.textContent = `Rendering, ${
				Math.round(done * 100)} %`;
		}
	};
	element.show = (job) => {
		if (job.state === 'running' || job.state === 'queued')
			element.progress(job.state === 'running'
				? job.progress : undefined);
	};
	element.update = (session) => {
		const state = session.video.state;
		const atWork = state === 'queued' || state === 'rendering';

		if (state === 'ready')
			play(session);
		else
			stage.replaceChildren();
		if (state !== 'ready')
			video = null;
		if (atWork && working.hidden)
			element.progress(undefined);
		if (!atWork)
			working.hidden = true;
		text.hidden = atWork ||
			(state === 'ready' && !session.video.note);
		text.textContent = state === 'ready' ? session.video.note
			: state === 'failed'
			? `The video could not be made${session.video.error
				? `: ${session.video.error}` : '.'}`
			: session.state === 'live'
				? 'The session is live; it can be rendered ' +
				  'when it has ended.'
				: session.video.note
				? `There is no video: ${session.video.note}.`
				: 'There is no video of this session yet.';
		render.hidden = atWork || session.state === 'live';
		render.textContent = state === 'ready' ? 'Render again'
			: 'Render video';
		render.className = state === 'ready' ? '' : 'primary';
	};
	return element;
}

function describe(session) {
	return facts(
		['Vault', h('a', {href: `#/vaults/${segment(session.vault)}`},
			    session.vault)],
		['Client', session.client],
		['State', pill(session.state),
			session.hold ? [' ', pill('held')] : ''],
		['Started', time(session.started_at, true)],
		session.ended_at && ['Ended', time(session.ended_at, true),
			` (${session.end_text || endReasons[session.end_reason] ||
			     session.end_reason || '?'})`],
		['Duration', duration(lasted(session))],
		['Sent', `${size(session.bytes_to_client)} to the viewer, ` +
			`${size(session.bytes_to_guest)} to the guest`],
		['Recording', size(session.capture.bytes)],
		session.capture.sha256 && ['SHA-256',
			h('code', {}, session.capture.sha256)]);
}

/*
 * Links and buttons; .update(session). They call changed() after a change,
 * and leaving(true or false) when the session is, or after all is not, deleted.
 */
function actions(id, place, changed, leaving) {
	const replay = action('Replay', place, async () => {
		saveViewerFile(`replay-${id}`,
			       await api('POST', path(id, '/replay'), {}),
			       place);
	});
	const verify = action('Verify', place, async () => {
		const found = await api('POST', path(id, '/verify'));

		if (found.ok)
			place.say(`The recording is whole: ${found.text}.`);
		else
			place.fail(new Error(found.text));
	});
	let held = false;
	const hold = action('Hold', place, async () => {
		await api('POST', path(id, '/hold'), {hold: !held});
		await changed();
	}, {title: 'Held sessions are not deleted'});
	const kill = action('End session', place, async () => {
		if (await confirm('End this session?',
			'The viewer is disconnected; the guest goes on.',
			'End it'))
			await api('POST', path(id, '/kill'), {});
	}, {class: 'danger'});
	const erase = action('Delete', place, async () => {
		if (!await confirm('Delete this session?',
			'Recording, video and entry are deleted for good.',
			'Delete'))
			return;
		leaving(true);
		try {
			await api('DELETE', path(id));
		} catch (error) {
			leaving(false);
			throw error;
		}
		location.hash = '#/sessions';
	}, {class: 'danger'});
	const files = h('span', {class: 'links'},
		h('a', {class: 'button', download: true,
			href: `/api/v1${path(id, '/capture')}`},
		  'Recording (.pcapng.zst)'),
		h('a', {class: 'button', download: true,
			href: `/api/v1${path(id, '/pcapng')}`},
		  'For Wireshark (.pcapng)'));
	const film = h('a', {class: 'button', download: true,
			     href: `/api/v1${path(id, '/video')}`},
		       'Video (.mp4)');

	files.append(film);
	const element = h('div', {class: 'actions'},
		h('div', {class: 'buttons'}, replay, verify, hold, kill, erase),
		place, h('h2', {}, 'Downloads'), h('div', {class: 'buttons'}, files));

	element.update = (session) => {
		const live = session.state === 'live';

		held = Boolean(session.hold);
		hold.textContent = held ? 'Release' : 'Hold';
		hold.setAttribute('aria-pressed', String(held));
		kill.hidden = !live;
		erase.hidden = live;
		replay.hidden = verify.hidden = live;
		erase.disabled = held;
		erase.title = held ? 'Held; release it first' : '';
		film.hidden = session.video.state !== 'ready';
	};
	return element;
}

export function sessionView(id) {
	const place = notice(), failure = notice();
	const heading = h('h1', {}, 'Session');
	const screen = player(id);
	const about = h('div');
	const buttons = actions(id, place, () => refresh(), (leaves) => {
		gone = leaves;
	});
	const body = h('div', {class: 'session', hidden: true}, screen,
		h('div', {}, about, buttons));
	let session = null, gone = false;

	function draw() {
		about.replaceChildren(describe(session));
	}

	async function refresh() {
		if (gone)
			return;
		try {
			session = await api('GET', path(id));
		} catch (error) {
			failure.fail(error);
			body.hidden = true;
			return;
		}
		failure.clear();
		heading.replaceChildren(session.vault, ' – ',
					time(session.started_at));
		draw();
		screen.update(session);
		buttons.update(session);
		body.hidden = false;
		if (session.video.state === 'rendering') {
			const jobs = await api('GET', '/jobs').catch(() => []);
			const job = jobs.find((j) => j.session === id &&
					      j.state === 'running');

			if (job)
				screen.show(job);
		}
	}

	const soon = later(refresh);
	const timer = setInterval(() => {
		if (session?.state === 'live')
			draw();
	}, 1000);

	refresh();
	return {
		element: h('section', {},
			h('p', {class: 'crumbs'},
			  h('a', {href: '#/sessions'}, 'Sessions'),
			  ' / ', h('code', {}, id)),
			heading, failure, body),
		refresh,
		close: () => {
			clearInterval(timer);
			soon.cancel();
		},
		event: (type, data) => {
			if (data.session !== id)
				return;
			if (type === 'session.progress' && session) {
				Object.assign(session, {
					bytes_to_client: data.bytes_to_client,
					bytes_to_guest: data.bytes_to_guest});
				session.capture.bytes = data.capture_bytes;
			} else if (type === 'job.progress') {
				if (data.kind === 'render')
					screen.progress(data.progress);
			} else {
				soon();
			}
		},
	};
}
