// How a vault is kept: its identity, its snapshots, moving house, and the work
// that is being done on it.
import {action, api, busy, confirm, entry, facts, field, h, later, notice, pill,
	segment, size, time} from './ui.js';
import {worker, works as names} from './work.js';

function path(name, tail = '') {
	return `/vaults/${segment(name)}${tail}`;
}

/* A table; a row is a list of cells, as on a narrow screen under their names. */
export function table(columns, rows, attributes = {}) {
	return h('table', attributes,
		 h('thead', {}, h('tr', {}, columns.map((column) =>
			h('th', {scope: 'col'}, column)))),
		 h('tbody', {}, rows.map((cells) => h('tr', {}, cells.map(
			 (cell, i) => h('td', {'data-label': columns[i]},
					cell))))));
}

/* --- work on it -------------------------------------------------------- */

/* The jobs at work on a vault; .update(uuid), .event(type, data). */
function workList(done) {
	const place = notice();
	const element = h('div', {class: 'works', hidden: true});
	const shown = new Map();
	let uuid = null;

	function forget(id) {
		shown.get(id)?.remove();
		shown.delete(id);
		element.hidden = !shown.size && place.hidden;
	}

	element.append(place);
	element.add = (job) => {
		if (job.state && job.state !== 'running' &&
		    job.state !== 'queued')
			return;
		if (!shown.has(job.id)) {
			shown.set(job.id, worker(job, place));
			element.prepend(shown.get(job.id));
		}
		shown.get(job.id).update(job);
		element.hidden = false;
	};
	element.update = async (vault) => {
		if (uuid === vault.uuid)
			return;
		uuid = vault.uuid;
		for (const job of await api('GET', '/jobs'))
			if (job.session === uuid)
				element.add(job);
	};
	element.event = (type, data) => {
		if (data.session !== uuid)
			return;
		if (type === 'job.progress') {
			element.add({...data, id: data.job, state: 'running'});
			return;
		}
		forget(data.job);
		element.hidden = false;
		if (data.state === 'failed')
			place.fail(new Error(data.error || 'It failed.'));
		else if (data.state === 'done')
			place.say(`${names[data.kind] || data.kind}: done.`);
		else
			element.hidden = !shown.size;
		done();
	};
	return element;
}

/* --- identity ---------------------------------------------------------- */

/* A value, with what is not as in the other one marked. */
function marked(value, other) {
	let from = 0, tail = 0;

	if (value === null || other === null)
		return value ?? 'missing';
	const most = Math.min(value.length, other.length);

	while (from < most && value[from] === other[from])
		from++;
	while (tail < most - from && value.at(-1 - tail) === other.at(-1 - tail))
		tail++;
	const to = value.length - tail;

	return [value.slice(0, from), h('mark', {}, value.slice(from, to)),
		value.slice(to)];
}

function driftTable(drift) {
	return table(['Field', 'Sealed as', 'Is now'], drift.map((field) => [
		h('code', {}, field.name),
		h('code', {}, marked(field.old, field.new)),
		h('code', {}, marked(field.new, field.old))]),
		{class: 'drift'});
}

function describeLease(lease) {
	return lease.state === 'here' ? [`here, ${lease.epoch} start${lease.epoch === 1 ? '' : 's'} so far`]
		: [pill('crashed', 'not here'), ` ${lease.why || ''}`];
}

async function restore(name) {
	if (await confirm(`Run ${name} here from now on?`,
		'Every other copy of this machine is retired: lost, or never ' +
		'to be started again. This is your word for it, and it is ' +
		'kept with the vault.', 'I state that'))
		await api('POST', path(name, '/restore'), {statement:
			'every other copy is retired (stated on the page)'});
}

function describeIdentity(vault) {
	const identity = vault.identity;
	const drift = identity.drift || [];

	return [facts(
		['State', !identity.sealed ? pill('none', 'not sealed')
			: drift.length ? pill('crashed', 'drifted')
			: pill('running', 'sealed')],
		identity.sealed_at && ['Sealed', time(identity.sealed_at)],
		identity.checked_at && ['Checked', time(identity.checked_at)],
		identity.digest && ['Digest', h('code', {}, identity.digest)],
		vault.verification?.at && ['Disks verified',
			pill(vault.verification.state === 'good' ? 'running'
				: 'crashed', vault.verification.state), ' ',
			time(vault.verification.at),
			vault.verification.text
				? `: ${vault.verification.text}` : ''],
		vault.lease && ['May run', ...describeLease(vault.lease)]),
		drift.length ? h('p', {class: 'why'}, 'This is not the ' +
			'machine that was sealed, so it does not start:')
			: null,
		drift.length ? driftTable(drift) : null,
		identity.sealed ? null : h('p', {}, 'A sealed vault starts ' +
			'only while its guest finds the very same hardware. ' +
			'Seal it when what it holds is installed and ' +
			'activated.')].filter(Boolean);
}

function fieldTable({fields, diff}) {
	const list = table(['Field', 'Class', 'Value'], fields.map((field) => [
		h('code', {}, field.name), field.class,
		h('code', {}, field.value)]));

	const drift = diff?.filter((field) => field.class === 'sealed');
	const other = diff?.filter((field) => field.class !== 'sealed');

	return h('div', {}, diff && h('p', {}, drift.length
			? 'Not as it was sealed:'
			: 'Every sealed field is as it was sealed.'),
		drift?.length ? driftTable(drift) : null,
		other?.length ? [h('p', {}, 'What may differ, and does:'),
				 driftTable(other)] : null,
		h('p', {class: 'why'}, 'sealed must never change, notice may ' +
			'change for a reason, masked says nothing of the machine'),
		h('details', {open: !diff}, h('summary', {},
			`All ${fields.length} fields`),
		  h('div', {class: 'long', tabindex: 0, role: 'region',
			    'aria-label': 'Fields of the identity'}, list)));
}

/* --- its QEMU ---------------------------------------------------------- */

function describeMachine({of, why, own}) {
	return facts(
		['Runs by', of === 'vault' ? 'its own' : 'this host’s',
		 why ? h('span', {class: 'why'}, why) : null],
		['Its own', ...own ? [`QEMU ${own.qemu}, ${size(own.bytes)}, made `,
			time(own.made_at), own.trusted ? '' :
			' – came with an import; it does not run before you ' +
			'agree to it'] : ['none: when this host’s QEMU has ' +
			'its machine type no more, it cannot start']]);
}

async function removeMachine(name) {
	if (await confirm(`Take the QEMU out of ${name}?`,
		'If this host’s QEMU cannot run it, the vault does not start ' +
		'any more.', 'Take it out'))
		await api('DELETE', path(name, '/machine'));
}

/* .update(vault) */
function machinePart(name, changed) {
	const place = notice();
	const about = h('div');
	const order = (method, body) => async () => {
		await api(method, path(name, '/machine'), body);
		changed();
	};
	const add = action('Keep this host’s QEMU in the vault', place,
			   order('POST', {}));
	const trust = action('Agree to it', place,
			     order('POST', {trust: true}), {class: 'primary'});
	const drop = action('Take it out', place, async () => {
		await removeMachine(name);
		changed();
	});
	const element = h('div', {}, h('h2', {}, 'QEMU'), about,
		h('div', {class: 'buttons'}, add, trust, drop), place);

	element.update = ({emulator}) => {
		element.hidden = !emulator;
		if (!emulator)
			return;
		about.replaceChildren(describeMachine(emulator));
		add.hidden = Boolean(emulator.own);
		drop.hidden = !emulator.own;
		trust.hidden = !emulator.own || emulator.own.trusted;
	};
	return element;
}

/* --- snapshots --------------------------------------------------------- */

async function revert(name, snapshot) {
	if (await confirm(`Set ${name} back to ${snapshot}?`,
		'What it is now is kept as a snapshot of its own.',
		'Set it back'))
		await api('POST', path(name,
			`/snapshots/${segment(snapshot)}/revert`), {});
}

async function removeSnapshot(name, snapshot) {
	if (await confirm(`Delete the snapshot ${snapshot}?`,
		'It cannot be got back. The vault stays as it is.', 'Delete'))
		await api('DELETE', path(name,
			`/snapshots/${segment(snapshot)}`));
}

function snapshotRow(name, snapshot, place, stopped) {
	return [
		h('span', {}, snapshot.name, snapshot.current
			? h('span', {class: 'soft'}, ' – it stands on this')
			: null),
		time(snapshot.created_at),
		snapshot.running ? 'running' : 'stopped',
		size(snapshot.bytes || 0),
		h('div', {class: 'buttons'},
			action('Set back', place,
			       () => revert(name, snapshot.name),
			       {disabled: !stopped, 'aria-label':
				`Set back to ${snapshot.name}`}),
			snapshot.name === 'sealed' ? null
			: action('Delete', place,
				 () => removeSnapshot(name, snapshot.name),
				 {class: 'quiet', 'aria-label':
				  `Delete ${snapshot.name}`})),
	];
}

function snapshotTable(name, list, place, stopped) {
	return list.length ? table(['Snapshot', 'Made', 'Guest was', 'Size', ''],
		list.map((snapshot) => snapshotRow(name, snapshot, place,
						   stopped)))
		: h('p', {class: 'empty'}, 'No snapshots yet.');
}

function snapshotForm(name, place, done) {
	const make = h('button', {type: 'submit'}, 'Make a snapshot');
	const form = h('form', {class: 'inline'},
		entry('name', 'name, or the time', {
			'aria-label': 'Name of the snapshot', maxlength: 63}),
		make);

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		const wish = new FormData(form).get('name').trim();

		busy(make, place, async () => {
			await api('POST', path(name, '/snapshots'),
				  wish ? {name: wish} : {});
			form.reset();
			done();
		});
	});
	return form;
}

/* --- moving house ------------------------------------------------------ */

function exportForm(name, place, works) {
	const go = h('button', {type: 'submit'}, 'Export');
	const form = h('form', {class: 'grid'},
		field('export', 'Write it to', 'a file below /srv, /mnt or ' +
			'/media, or an https, sftp or s3 URL',
		      entry('to', `/srv/${name}.mvault`, {required: true})),
		field('export', 'Only for the host with this key',
		      'as mediavmctl status shows it there; any if empty',
		      entry('target', '64 hexadecimal digits')),
		h('label', {class: 'check'},
		  h('input', {type: 'checkbox', name: 'move'}),
		  ' move: it runs there from then on, and no more here'),
		h('div', {class: 'buttons wide'}, go));

	form.addEventListener('submit', async (event) => {
		event.preventDefault();
		const data = new FormData(form);
		const move = Boolean(data.get('move'));
		const target = data.get('target').trim();

		if (move && !await confirm(`Move ${name} away?`,
			'It will not start on this host any more; the host ' +
			'that imports it has the right to run it.', 'Move'))
			return;
		busy(go, place, async () => works.add(await api('POST',
			path(name, '/export'),
			{to: data.get('to').trim(), move,
			 ...target ? {target} : {}})));
	});
	return form;
}

/* The part of a vault's page; .update(vault), .event(type, data). */
export function keeping(name, changed) {
	const place = notice();
	const works = workList(changed);
	const identity = h('div');
	const list = h('div', {class: 'snapshots'});
	const seal = action('Seal', place, async () => works.add(
		await api('POST', path(name, '/seal'), {})),
		{class: 'primary'});
	const verify = (text, deep) => action(text, place, async () =>
		works.add(await api('POST', path(name, '/verify'), {deep})));
	const check = verify('Verify the hardware', false);
	const deep = verify('Verify every disk block', true);
	const take = action('Restore the right to run', place, async () => {
		await restore(name);
		changed();
	}, {class: 'primary'});
	const read = action('Read every field', place, async () =>
		inside.replaceChildren(fieldTable(
			await api('GET', path(name, '/identity')))));
	const inside = h('div', {'aria-live': 'polite'});
	const machine = machinePart(name, changed);
	const wait = h('p', {class: 'why'}, 'While it runs, its hardware ' +
		'can’t be read or sealed, and it can’t be set back: shut it ' +
		'down for that.');
	let stopped = false, shown = '';

	/* Only when they have changed; the focus stays where it was. */
	function showSnapshots(snapshots) {
		const now = JSON.stringify([stopped, snapshots]);
		const held = list.contains(document.activeElement) &&
			document.activeElement.getAttribute('aria-label');

		if (now === shown)
			return;
		shown = now;
		list.replaceChildren(snapshotTable(name, snapshots, place,
						   stopped));
		if (held)
			(list.querySelector(`[aria-label="${CSS.escape(held)}"]`)
				|| heading).focus();
	}
	const heading = h('h2', {tabindex: -1}, 'Snapshots');

	async function loadSnapshots() {
		try {
			showSnapshots(await api('GET',
						path(name, '/snapshots')));
		} catch (error) {
			shown = '';
			list.replaceChildren(h('p', {class: 'why'},
					       error.message));
		}
	}
	const soon = later(loadSnapshots);

	const element = h('div', {class: 'keeping'},
		h('h2', {}, 'Identity'), works, place, identity,
		wait, h('div', {class: 'buttons'}, take, seal, check, deep,
			read), inside,
		machine, heading, list,
		snapshotForm(name, place, soon),
		h('h2', {}, 'Backup and moving house'),
		exportForm(name, place, works));

	element.update = (vault) => {
		stopped = vault.state === 'stopped' ||
			vault.state === 'crashed';
		identity.replaceChildren(...describeIdentity(vault));
		seal.hidden = vault.identity.sealed;
		check.hidden = !vault.identity.sealed;
		take.hidden = !vault.lease || vault.lease.state === 'here';
		machine.update(vault);
		wait.hidden = stopped;
		for (const button of [seal, check, read])
			button.disabled = !stopped;
		works.update(vault).catch(() => {});
		soon();
	};
	element.event = (type, data) => {
		if (type.startsWith('job.'))
			works.event(type, data);
		else if (type.startsWith('snapshot.') && data.vault === name)
			soon();
	};
	element.close = soon.cancel;
	return element;
}
