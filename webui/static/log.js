// Events: the audit log, and what happens now.
import {action, api, endReasons, h, notice, segment, time} from './ui.js';

const PAGE = 100;
const jobs = {render: 'rendering', export: 'export', replay: 'replay'};
const refusals = {used: 'it was used before', expired: 'it has expired',
		  unknown: 'it is none of ours',
		  'foreign address': 'it belongs to another address'};
const texts = {
	'vault.state': (e) => e.state === 'crashed' ? `${e.vault} crashed`
		: `${e.vault} is ${e.state}`,
	'vault.created': (e) => `${e.vault} was made`,
	'vault.deleted': (e) => `${e.vault} was deleted`,
	'network.opened': (e) => `${e.vault} has a way out`,
	'network.closed': (e) => `${e.vault} has no way out any more`,
	'session.started': (e) => `${e.client} watches ${e.vault}` +
		(e.view_only ? ', view only' : ''),
	'session.ended': (e) => `session of ${e.vault} ended`,
	'ticket.made': (e) => `ticket for ${e.vault}` +
		(e.session ? ', to replay a session' : '') +
		(e.view_only ? ', view only' : ''),
	'ticket.refused': (e) => `ticket from ${e.client} refused`,
	'link.refused': (e) => `connection from ${e.client} refused`,
	'job.ended': (e) => `${jobs[e.kind] || e.kind} ${e.state}`,
	'gateway.restarted': () => 'the gateway was restarted',
};
const bad = new Set(['ticket.refused', 'link.refused', 'gateway.restarted']);
/* What a row tells in other words, or what helps nobody who reads it. */
const said = new Set(['seq', 'at', 'type', 'vault', 'session', 'client', 'kind',
		      'state', 'view_only', 'expires_at', 'job', 'uuid',
		      'text', 'why', 'reason', 'error', 'who']);

function isBad(event) {
	return bad.has(event.type) || event.state === 'crashed' ||
		event.state === 'failed';
}

function describe(event) {
	const rest = [
		event.text || endReasons[event.reason] || event.reason,
		refusals[event.why] || event.why, event.error,
		event.who && `by ${event.who === 'page' ? 'the page'
			: event.who}`,
		...Object.entries(event).filter(([key, value]) =>
			!said.has(key) && value !== null && value !== '')
			.map(([key, value]) => `${key} ${
				typeof value === 'object'
					? JSON.stringify(value) : value}`),
	].filter(Boolean);
	const text = texts[event.type]?.(event) || event.type;

	return [text, rest.length ? h('span', {class: 'why'},
				      rest.join(' · ')) : null];
}

function row(event) {
	const about = event.session
		? h('a', {href: `#/sessions/${segment(event.session)}`},
		    'session')
		: event.vault ? h('a', {href: `#/vaults/${
			segment(event.vault)}`}, event.vault) : '';

	return h('tr', {class: isBad(event) ? 'bad' : ''},
		h('td', {'data-label': 'When'}, time(event.at, true)),
		h('td', {'data-label': 'Type'}, h('code', {}, event.type)),
		h('td', {'data-label': 'What'}, ...describe(event)),
		h('td', {'data-label': 'About'}, about));
}

export function logView() {
	const body = h('tbody');
	const place = notice();
	const type = h('select', {id: 'e-type'},
		h('option', {value: ''}, 'All types'),
		Object.keys(texts).map((name) => h('option', {}, name)));
	const text = h('input', {type: 'search', id: 'e-text',
				 autocomplete: 'off'});
	const form = h('form', {class: 'filters', role: 'search'},
		h('div', {class: 'field'}, h('label', {for: 'e-text'},
			'Search'), text),
		h('div', {class: 'field'}, h('label', {for: 'e-type'}, 'Type'),
		  type));
	const empty = h('p', {class: 'empty', role: 'status', hidden: true},
			'Nothing happened yet.');
	const table = h('table', {class: 'log'},
		h('caption', {class: 'hidden'}, 'Events, newest first'),
		h('thead', {}, h('tr', {}, ['When', 'Type', 'What', 'About']
			.map((name) => h('th', {scope: 'col'}, name)))), body);
	const more = action('Show older ones', place, () => load(true));
	let oldest = null, newest = 0, asked = 0, timer = null;

	more.hidden = true;

	async function load(append) {
		const query = new URLSearchParams({limit: PAGE});
		const turn = ++asked;

		if (type.value)
			query.set('type', type.value);
		if (text.value.trim())
			query.set('text', text.value.trim());
		if (append)
			query.set('before', oldest);
		const list = await api('GET', `/audit?${query}`);

		if (turn !== asked)
			return;
		const rows = list.map(row);

		if (append)
			body.append(...rows);
		else
			body.replaceChildren(...rows);
		oldest = list.at(-1)?.seq;
		if (!append)
			newest = list[0]?.seq || 0;
		more.hidden = list.length < PAGE;
		table.hidden = !body.children.length;
		empty.hidden = !table.hidden;
	}

	function refresh() {
		place.clear();
		load(false).catch((error) => place.fail(error));
	}
	form.addEventListener('submit', (event) => event.preventDefault());
	form.addEventListener('input', () => {
		clearTimeout(timer);
		timer = setTimeout(refresh, 250);
	});
	refresh();
	return {
		element: h('section', {}, h('div', {class: 'head'},
			h('h1', {}, 'Events')), form, place, table, empty,
			more),
		refresh,
		event: (name, data) => {
			if (name.endsWith('.progress') || data.seq <= newest ||
			    text.value.trim() ||
			    (type.value && type.value !== name))
				return;
			newest = data.seq;
			body.prepend(row(data));
			table.hidden = false;
			empty.hidden = true;
		},
	};
}
