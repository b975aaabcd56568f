// Vaults: the list, one vault with its policy, and making a new one.
import {action, api, busy, confirm, facts, h, later, notice, pill,
	saveViewerFile, segment, size, time} from './ui.js';
import {importDialog, keeping} from './keep.js';

const GiB = 2 ** 30;
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
			`with ${accelerators[vault.accelerator?.kind] || '?'}`,
			live ? ` · ${live} watching` : '');
		about.title = vault.accelerator?.why || '';
		why.textContent = vault.why || '';
		why.hidden = !vault.why;
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
	const fresh = h('button', {type: 'button', class: 'primary',
				   onclick: () => createDialog(refresh)},
			'New vault');
	const bring = h('button', {type: 'button',
				   onclick: () => importDialog(refresh)},
			'Import');

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
			  h('div', {class: 'buttons'}, bring, fresh)),
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
};
const hints = {
	record: 'required ends a session that cannot be recorded',
	viewers: 'at the same time, 1 to 16',
	'idle-timeout': '0 for never, or 30m, 8h',
	'ticket-lifetime': 'such as 60s, 10m',
	'bind-address': 'a ticket works from the address it was used from',
	retention: 'forever, or 30d',
	quota: '0 for none, or 20G',
	verify: 'default, off, or 30d',
};

function policyField(key, value) {
	const id = `policy-${key}`;
	const input = choices[key]
		? h('select', {id, name: key}, choices[key].map((choice) =>
			h('option', {selected: choice === value}, choice)))
		: h('input', {id, name: key, value, required: true,
			      autocomplete: 'off', spellcheck: 'false'});

	return h('div', {class: 'field'}, h('label', {for: id}, key), input,
		 hints[key] ? h('small', {}, hints[key]) : null);
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
			place.say('Saved; it holds for sessions to come.');
		});
	});
	return form;
}

function network({state, until}) {
	return state === 'on' ? ['on until ', time(until)]
		: ['off: a link, and nothing behind it'];
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
		['Machine', `${vault.machine || '–'}, ${vault.firmware || '–'}` +
			(vault.tpm ? ', TPM' : '')],
		vault.disk?.format && ['Disk', `${vault.disk.format}, ` +
			`${size(vault.disk.actual_size)} used`],
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
	const erase = action('Delete vault', place, () => remove(name),
			     {class: 'danger'});
	const body = h('div', {hidden: true}, buttons, place, about,
		h('p', {}, h('a', {href: `#/sessions?vault=${segment(name)}`},
			     'Its sessions')),
		keep, h('h2', {}, 'Policy of its sessions'), policy,
		h('h2', {}, 'Delete'), erase);
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
		keep.hidden = vault.kind === 'attached';
		if (!keep.hidden)
			keep.update(vault);
		erase.disabled = vault.kind !== 'attached' &&
			(vault.state === 'running' ||
			vault.state === 'starting');
		erase.title = erase.disabled ? 'Stop it first' : '';
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

/* --- a new one --------------------------------------------------------- */

function field(label, hint, input) {
	input.id = `new-${input.name}`;
	return h('div', {class: 'field'}, h('label', {for: input.id}, label),
		 input, hint ? h('small', {}, hint) : null);
}

function specOf(form) {
	const data = new FormData(form);
	const spec = {name: data.get('name').trim(),
		      memory: Math.round(data.get('memory') * 1024) * 2 ** 20,
		      cpus: Number(data.get('cpus')),
		      heads: Number(data.get('heads')),
		      firmware: data.get('firmware')};

	if (data.get('disk').trim())
		spec.disk = data.get('disk').trim();
	else
		spec.disk_size = Math.round(data.get('disk_size') * GiB);
	if (data.get('iso').trim())
		spec.iso = data.get('iso').trim();
	if (data.get('os').trim())
		spec.os = data.get('os').trim();
	if (data.get('tpm'))
		spec.tpm = true;
	return spec;
}

function number(name, value, min, max, step = 1) {
	return h('input', {name, type: 'number', value, min, max, step,
			   required: true});
}

function createDialog(done) {
	const place = notice();
	const submit = h('button', {type: 'submit', class: 'primary'},
			 'Create');
	const form = h('form', {class: 'grid'},
		field('Name', 'letters, digits, . _ and -',
		      h('input', {name: 'name', required: true, autofocus: true,
				  maxlength: 63, autocomplete: 'off',
				  spellcheck: 'false',
				  pattern: '[A-Za-z0-9][A-Za-z0-9._\\-]*'})),
		field('Memory, GiB', null, number('memory', 2, 0.125, 1024,
						  0.125)),
		field('Processors', null, number('cpus', 2, 1, 64)),
		field('Monitors', null, number('heads', 1, 1, 4)),
		field('Empty disk, GiB', 'not used when an image is named',
		      number('disk_size', 50, 1, 65536)),
		field('Disk image', 'a file on the host, qcow2 or raw; copied',
		      h('input', {name: 'disk', placeholder: '/srv/disk.qcow2',
				  autocomplete: 'off', spellcheck: 'false'})),
		field('CD image', 'to install from: a file on the host, or a URL, ' +
			'which is fetched first',
		      h('input', {name: 'iso', placeholder: '/srv/setup.iso',
				  autocomplete: 'off', spellcheck: 'false'})),
		field('Guest system', 'as libosinfo names it',
		      h('input', {name: 'os', placeholder: 'win10',
				  autocomplete: 'off', spellcheck: 'false'})),
		field('Firmware', null, h('select', {name: 'firmware'},
			h('option', {value: 'bios'}, 'BIOS'),
			h('option', {value: 'uefi'}, 'UEFI'))),
		h('label', {class: 'check'},
		  h('input', {name: 'tpm', type: 'checkbox'}), ' TPM 2.0'),
		place,
		h('div', {class: 'buttons end wide'},
		  h('button', {type: 'button',
			       onclick: () => dialog.close()}, 'Cancel'),
		  submit));
	const dialog = h('dialog', {class: 'large',
				    'aria-labelledby': 'new-title'},
		h('h2', {id: 'new-title'}, 'New vault'),
		h('p', {class: 'why'}, 'Its hardware is fixed when it is made ' +
			'and never changes afterwards.'), form);

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		busy(submit, place, async () => {
			await api('POST', '/vaults', specOf(form));
			dialog.close();
			done();
		});
	});
	dialog.addEventListener('close', () => dialog.remove());
	document.body.append(dialog);
	dialog.showModal();
}
