// The page: routes, the stream of events, what stands in header and footer.
import {api, h, size} from './ui.js';
import {vaultList, vaultView} from './vaults.js';
import {sessionList, sessionView} from './sessions.js';
import {logView} from './log.js';

const main = document.getElementById('main');
const link = document.getElementById('link');
const footer = document.getElementById('footer');

const eventTypes = [
	'vault.state', 'vault.created', 'vault.deleted', 'network.opened',
	'network.closed', 'snapshot.created', 'snapshot.reverted',
	'snapshot.deleted', 'vault.sealed', 'vault.verified', 'vault.drifted',
	'session.started',
	'session.progress', 'session.ended', 'ticket.made', 'ticket.refused',
	'link.refused', 'job.progress', 'job.ended', 'gateway.restarted',
];

/* --- routes ------------------------------------------------------------ */

const routes = [
	[/^\/vaults$/, 'vaults', 'Vaults', vaultList],
	[/^\/vaults\/([^/]+)$/, 'vaults', 'Vault', vaultView],
	[/^\/sessions$/, 'sessions', 'Sessions', sessionList],
	[/^\/sessions\/([^/]+)$/, 'sessions', 'Session', sessionView],
	[/^\/events$/, 'events', 'Events', logView],
];

let view = null; // {element, event(type, data), refresh(), close()}

function markNavigation(name) {
	for (const anchor of document.querySelectorAll('nav a')) {
		if (anchor.dataset.view === name)
			anchor.setAttribute('aria-current', 'page');
		else
			anchor.removeAttribute('aria-current');
	}
}

function show(isFirst) {
	const [path, query] = (location.hash.slice(1) || '/vaults').split('?');
	const found = routes.find(([pattern]) => pattern.test(path));

	if (!found) {
		location.replace('#/vaults');
		return;
	}
	const [pattern, name, title, make] = found;
	const parts = pattern.exec(path).slice(1).map(decodeURIComponent);

	document.querySelector('dialog[open]')?.close();
	view?.close?.();
	view = make(...parts, new URLSearchParams(query));
	document.title = `${parts[0] ? `${parts[0]} – ` : ''}${title} – ` +
		'mediavm';
	markNavigation(name);
	main.replaceChildren(view.element);
	if (!isFirst) {
		const heading = main.querySelector('h1');

		heading?.setAttribute('tabindex', '-1');
		heading?.focus({preventScroll: true});
		window.scrollTo(0, 0);
	}
}

/* --- live -------------------------------------------------------------- */

let stream = null;

function say(state, text) {
	link.className = state;
	link.textContent = text;
}

function listen() {
	stream?.close();
	stream = new EventSource('/api/v1/events');
	let wasOpen = false;

	stream.addEventListener('open', () => {
		if (wasOpen) {
			view?.refresh?.();
			status();
		}
		wasOpen = true;
		say('live', 'Live');
	});
	stream.addEventListener('error', () => {
		say('broken', 'Reconnecting…');
		if (stream.readyState === EventSource.CLOSED)
			setTimeout(retry, 3000);
	});
	stream.addEventListener('reset', () => view?.refresh?.());
	for (const type of eventTypes)
		stream.addEventListener(type, (event) => {
			view?.event?.(type, JSON.parse(event.data));
		});
}

/* The browser gives up after an error status: see whether we are let in. */
async function retry() {
	try {
		await status();
		listen();
	} catch (error) {
		if (error.status !== 401)
			setTimeout(retry, 3000);
	}
}

async function status() {
	const s = await api('GET', '/status');

	footer.replaceChildren(
		h('span', {}, `mediavm ${s.version} on ${s.host}`),
		h('span', {}, s.hypervisor),
		h('span', {}, `Gateway ${s.gateway.host}:${s.gateway.port}` +
			(s.gateway.running ? '' : ' (not running)')),
		h('span', {}, `${size(s.space.free)} free`));
}

/* --- logged out -------------------------------------------------------- */

function loggedOut() {
	stream?.close();
	document.querySelector('dialog[open]')?.close();
	view?.close?.();
	view = null;
	say('', '');
	footer.replaceChildren();
	document.body.classList.add('outside');
	main.replaceChildren(h('section', {class: 'alone'},
		h('h1', {}, 'Not logged in'),
		h('p', {}, 'Run this on the computer where mediavm runs, and ' +
			'open the link that it shows:'),
		h('pre', {}, 'mediavmctl ui')));
}

window.addEventListener('logged-out', loggedOut);
document.getElementById('logout').addEventListener('click', async () => {
	try {
		await api('POST', '/logout');
	} finally {
		loggedOut();
	}
});

window.addEventListener('hashchange', () => {
	if (!document.body.classList.contains('outside'))
		show(false);
});

async function start() {
	try {
		await status();
	} catch (error) {
		if (error.status !== 401) {
			main.replaceChildren(h('p', {class: 'notice bad',
				role: 'alert'}, error.message));
			setTimeout(start, 3000);
		}
		return;
	}
	show(true);
	listen();
}
start();
