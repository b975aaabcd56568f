// Vaults: the list, and one vault with its network and policy.
import {action, api, busy, confirm, entry, facts, field, h, later, notice,
	pill, saveViewerFile, segment, size, time} from './ui.js';
import {adoptDialog, attachDialog, createDialog, importDialog} from
	'./arrive.js';
import {keeping} from './keep.js';

const accelerators = {kvm: 'KVM', tcg: 'TCG (emulated)'};

function path(name, tail = '') {
	return `/vaults/${segment(name)}${tail}`;
}

/* --- what can be done with a vault ------------------------------------- */

async function connect(name, place, viewOnly) {
	const body = viewOnly ? {view_only: true} : {};

	saveViewerFile(name, await api('POST', path(name, '/connect'), body),
		       place);
}

async function stop(name, place) {
	const vault = await api('POST', path(name, '/stop'), {});

	if (vault.state !== 'stopped')
		place.say(`${name} was asked to shut down.`);
}

async function forceStop(name) {
	if (await confirm(`End ${name} now?`,
		'It is as if the power failed: what the guest has not ' +
		'written to its disk is lost.', 'End it now'))
		await api('POST', path(name, '/stop'), {force: true});
}

/* Buttons of a vault; .update(vault) shows those that make sense. */
function controls(name, place) {
	const start = action('Start', place,
		() => api('POST', path(name, '/start'), {}),
		{class: 'primary', 'aria-label': `Start ${name}`});
	const link = h('a', {class: 'button primary',
			     href: `/vaults/${segment(name)}.vv`,
			     'aria-label': `Connect to ${name}`,
			     'data-connect': name}, 'Connect');
	const halt = action('Shut down', place, () => stop(name, place),
			    {'aria-label': `Shut down ${name}`});
	const force = action('Force off', place, () => forceStop(name),
			     {class: 'quiet', 'aria-label': `Force ${name} off`});
	const element = h('div', {class: 'buttons'}, start, link, halt, force);

	link.addEventListener('click', (event) => {
		event.preventDefault();
		busy(link, place, () => connect(name, place));
	});
	element.update = (vault) => {
		const runs = vault.state === 'running';
		const starts = vault.state === 'starting';

		const kept = vault.kind !== 'attached';

		start.hidden = runs || starts || !kept;
		link.hidden = !runs;
		halt.hidden = !runs || !kept;
		force.hidden = !runs && !starts || !kept;
	};
	return element;
}

function hardware(vault) {
	const parts = [];

	if (vault.cpus)
		parts.push(`${vault.cpus} CPU${vault.cpus === 1 ? '' : 's'}`,
			   size(vault.memory));
	if (vault.disk?.virtual_size)
		parts.push(`${size(vault.disk.virtual_size)} disk`);
	if (vault.heads > 1)
		parts.push(`${vault.heads} monitors`);
	return parts.join(' · ') || 'Hardware unknown';
}

function accelerator(vault) {
	const a = vault.accelerator;

	return a ? [accelerators[a.kind] || a.kind,
		    a.why ? h('span', {class: 'why'}, a.why) : null] : ['–'];
}

/* What keeps it, in a word or two; why it can't start, if it can't. */
function kept(vault) {
	if (vault.kind === 'attached')
		return '';
	return ' · ' + (!vault.identity.sealed ? 'not sealed'
		: vault.identity.drift?.length ? 'drifted' : 'sealed');
}

function trouble(vault) {
	if (vault.lease && vault.lease.state !== 'here')
		return `It may not run here: ${vault.lease.why}`;
	if (vault.identity.drift?.length)
		return 'It is not the machine that was sealed; its page says ' +
			'what differs.';
	return vault.why || '';
}

/* --- the list ---------------------------------------------------------- */

function card(name) {
	const state = h('span');
	const about = h('p', {class: 'about'});
	const why = h('p', {class: 'why'});
	const place = notice();
	const buttons = controls(name, place);
	const element = h('li', {class: 'card', 'data-vault': name},
		h('div', {class: 'title'},
		  h('h2', {}, h('a', {href: `#/vaults/${segment(name)}`},
				name)), state),
		about, why, buttons, place);

	element.update = (vault) => {
		const live = vault.sessions_live;

		state.replaceChildren(pill(vault.state));
		about.replaceChildren(vault.kind === 'attached'
			? `Attached: ${vault.spice}` : hardware(vault),
			h('br'), vault.kind === 'attached' ? '' :
			`${vault.state === 'running' ? 'Runs' : 'Would run'} ` +
			`with ${accelerators[vault.accelerator?.kind] || '?'}` +
				kept(vault),
			live ? ` · ${live} watching` : '');
		about.title = vault.accelerator?.why || '';
		why.textContent = trouble(vault);
		why.hidden = !why.textContent;
		buttons.update(vault);
	};
	return element;
}

export function vaultList() {
	const list = h('ul', {class: 'cards'});
	const empty = h('p', {class: 'empty', hidden: true},
		'No vaults yet. Make the first one, or run ',
		h('code', {}, 'mediavmctl vault create'), '.');
	const reason = h('p', {class: 'why', hidden: true});
	const place = notice();
	const cards = new Map();
	const ways = [['Import', importDialog], ['Take over', adoptDialog],
		['Attach', attachDialog], ['New vault', createDialog]];

	async function refresh() {
		let vaults;

		try {
			vaults = await api('GET', '/vaults');
		} catch (error) {
			place.fail(error);
			return;
		}
		place.clear();
		for (const [name, element] of cards)
			if (!vaults.some((vault) => vault.name === name)) {
				element.remove();
				cards.delete(name);
			}
		vaults.forEach((vault, i) => {
			if (!cards.has(vault.name))
				cards.set(vault.name, card(vault.name));
			const element = cards.get(vault.name);

			element.update(vault);
			if (list.children[i] !== element)
				list.insertBefore(element, list.children[i]);
		});
		empty.hidden = vaults.length > 0;
		const slow = vaults.find((v) => v.accelerator?.kind === 'tcg');

		reason.textContent = slow
			? `Guests are emulated: ${slow.accelerator.why}.` : '';
		reason.hidden = !slow;
	}
	const soon = later(refresh);

	refresh();
	return {
		element: h('section', {},
			h('div', {class: 'head'}, h('h1', {}, 'Vaults'),
			  h('div', {class: 'buttons'}, ways.map(([text, open],
				i) => h('button', {type: 'button', onclick: open,
				class: i === 3 ? 'primary' : null}, text)))),
			reason, place, empty, list),
		refresh,
		close: soon.cancel,
		event: (type) => {
			if (type.startsWith('vault.') ||
			    type === 'session.started' ||
			    type === 'session.ended')
				soon();
		},
	};
}

/* --- one vault --------------------------------------------------------- */

const choices = {
	record: ['required', 'best-effort', 'off'],
	keystrokes: ['redact', 'store'],
	clipboard: ['off', 'to-guest', 'from-guest', 'both'],
	'file-transfer': ['off', 'on'],
	usb: ['off', 'on'],
	microphone: ['off', 'on'],
	takeover: ['ask', 'allow', 'deny'],
	'bind-address': ['on', 'off'],
	machine: ['auto', 'own'],
};
const hints = {
	record: 'required ends a session that cannot be recorded',
	viewers: 'at the same time, 1 to 16',
	'idle-timeout': '0 for never, or 30m, 8h',
	'ticket-lifetime': 'such as 60s, 10m',
	'bind-address': 'a ticket works from the address it was used from',
	retention: 'forever, or 30d',
	quota: '0 for none, or 20G',
	verify: 'every disk block: default, off, or 30d',
	machine: 'own: always by the QEMU that is in the vault',
	takeover: 'a new viewer while somebody watches',
};

function policyField(key, value) {
	return field('policy', key, hints[key], choices[key]
		? h('select', {name: key}, choices[key].map((choice) =>
			h('option', {selected: choice === value}, choice)))
		: entry(key, null, {value, required: true}));
}

function policyForm(name, policy) {
	const place = notice();
	const save = h('button', {type: 'submit'}, 'Save policy');
	const form = h('form', {class: 'grid'},
		Object.entries(policy).map(([key, value]) =>
			policyField(key, value)),
		h('div', {class: 'buttons wide'}, save), place);

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		const changes = {};

		for (const [key, value] of new FormData(form))
			if (value !== policy[key])
				changes[key] = value;
		busy(save, place, async () => {
			policy = await api('PATCH', path(name, '/policy'),
					   changes);
			place.say('Saved. What is about sessions holds for those to come.');
		});
	});
	return form;
}

function network({state, until}) {
	return state === 'on' ? ['on until ', time(until)]
		: ['off: a link, and nothing behind it'];
}

/* An activation window; .update(vault). */
function windowForm(name, changed) {
	const place = notice();
	const open = h('button', {type: 'submit'}, 'Open');
	const set = async (body) => {
		await api('POST', path(name, '/network'), body);
		changed();
	};
	const close = action('Close', place, () => set({state: 'off'}));
	const form = h('form', {class: 'inline'},
		h('label', {for: 'network-for'}, 'A way out for'),
		entry('for', '30m', {id: 'network-for', value: '30m', size: 6,
				     class: 'short', required: true,
				     'aria-describedby': 'network-hint'}),
		open, close);
	const hint = h('p', {class: 'why', id: 'network-hint'});
	const element = h('div', {}, h('h2', {}, 'Activation window'), hint,
			  form, place);

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		busy(open, place, () => set({state: 'on',
			for: new FormData(form).get('for').trim()}));
	});
	element.update = (vault) => {
		const isOpen = vault.network?.state === 'on';

		form.hidden = vault.state !== 'running';
		open.textContent = isOpen ? 'Open anew' : 'Open';
		close.hidden = !isOpen;
		hint.replaceChildren(...isOpen ? ['The guest reaches what this ' +
			'host reaches until ', time(vault.network.until), '.']
			: ['The guest reaches nothing. ' + (form.hidden
				? 'Start it first, then a window can be opened.'
				: 'For activation it can be let out for a ' +
				'while, such as 30m; 24h at most.')]);
	};
	return element;
}

function describe(vault) {
	if (vault.kind === 'attached')
		return facts(
			['Attached', h('code', {}, vault.spice), vault.state ===
				'running' ? ' answers' : ' does not answer'],
			['UUID', h('code', {}, vault.uuid)],
			vault.created_at && ['Made', time(vault.created_at)]);
	return facts(
		['State', pill(vault.state), vault.why ? ` ${vault.why}` : ''],
		vault.started_at && ['Runs since', time(vault.started_at)],
		['Accelerator', ...accelerator(vault)],
		['Hardware', hardware(vault)],
		['CPU model', vault.cpu || '–'],
		['Machine', [vault.machine || '–',
			(vault.firmware || '–').toUpperCase() +
				(vault.secure_boot ? ' with Secure Boot' : ''),
			vault.tpm && 'TPM'].filter(Boolean).join(', ')],
		vault.disk?.format && ['Disk', `${vault.disk.format}, ` +
			`${size(vault.disk.all_size)} used` +
			(vault.disk.in_place ? ', where it was' : '')],
		['MAC', vault.mac || '–'],
		vault.network && ['Network', ...network(vault.network)],
		['UUID', h('code', {}, vault.uuid)],
		vault.created_at && ['Made', time(vault.created_at)]);
}

async function remove(name) {
	if (!await confirm(`Delete ${name}?`,
		'The vault and its disk are deleted for good, and with them ' +
		'what is licensed to it. Recordings stay.', 'Delete'))
		return;
	await api('DELETE', path(name));
	location.hash = '#/vaults';
}

export function vaultView(name) {
	const place = notice();
	const buttons = controls(name, place);
	const about = h('div');
	const policy = h('div');
	const keep = keeping(name, () => refresh());
	const out = windowForm(name, () => refresh());
	const erase = action('Delete vault', place, () => remove(name),
			     {class: 'danger'});
	const busyWith = h('p', {class: 'why'}, 'It runs: shut it down first.');
	const body = h('div', {hidden: true}, buttons, place, about,
		h('p', {}, h('a', {href: `#/sessions?vault=${segment(name)}`},
			     'Its sessions')),
		out, keep, h('h2', {}, 'Policy'), policy,
		h('h2', {}, 'Delete'), busyWith, erase);
	const failure = notice();

	async function refresh() {
		let vault;

		try {
			vault = await api('GET', path(name));
		} catch (error) {
			failure.fail(error);
			body.hidden = true;
			return;
		}
		failure.clear();
		about.replaceChildren(describe(vault));
		buttons.update(vault);
		keep.hidden = out.hidden = vault.kind === 'attached';
		if (!keep.hidden) {
			keep.update(vault);
			out.update(vault);
		}
		erase.disabled = vault.kind !== 'attached' &&
			(vault.state === 'running' ||
			vault.state === 'starting');
		busyWith.hidden = !erase.disabled;
		if (!policy.firstChild)
			policy.append(policyForm(name, vault.policy));
		body.hidden = false;
	}
	const soon = later(refresh);

	refresh();
	return {
		element: h('section', {},
			h('p', {class: 'crumbs'},
			  h('a', {href: '#/vaults'}, 'Vaults')),
			h('h1', {}, name), failure, body),
		refresh,
		close: () => {
			soon.cancel();
			keep.close();
		},
		event: (type, data) => {
			keep.event(type, data);
			if (data.vault !== name)
				return;
			if (type === 'vault.deleted')
				location.hash = '#/vaults';
			else
				soon();
		},
	};
}
