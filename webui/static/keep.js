// How a vault is kept: its identity, its snapshots, moving house, and the work
// that is being done on it.
import {action, api, busy, confirm, facts, h, later, notice, pill, segment,
	size, time} from './ui.js';

function path(name, tail = '') {
	return `/vaults/${segment(name)}${tail}`;
}

/* A table; a row is a list of cells, as on a narrow screen under their names. */
function table(columns, rows, attributes = {}) {
	return h('table', attributes,
		 h('thead', {}, h('tr', {}, columns.map((column) =>
			h('th', {scope: 'col'}, column)))),
		 h('tbody', {}, rows.map((cells) => h('tr', {}, cells.map(
			 (cell, i) => h('td', {'data-label': columns[i]},
					cell))))));
}

/* --- work on it -------------------------------------------------------- */

const works = {
	seal: 'Sealing', verify: 'Verifying', export: 'Exporting',
	import: 'Importing', digest: 'Computing digests', bundle: 'Bundling',
	download: 'Downloading',
};

function left(job) {
	const parts = [`${Math.round((job.progress || 0) * 100)} %`];

	if (job.rate)
		parts.push(`${size(job.rate)}/s`);
	if (job.seconds_left)
		parts.push(`${Math.floor(job.seconds_left / 60)}:` +
			`${String(job.seconds_left % 60).padStart(2, '0')} ` +
			'left');
	return parts.join(', ');
}

function worker(job, place) {
	const name = works[job.kind] || job.kind;
	const bar = h('progress', {max: 1, 'aria-label': name});
	const text = h('span');
	const element = h('p', {class: 'working', 'data-job': job.id},
		h('span', {}, name), bar, text,
		action('Cancel', place,
		       () => api('DELETE', `/jobs/${segment(job.id)}`),
		       {class: 'quiet'}));

	element.update = (now) => {
		bar.value = now.progress || 0;
		text.textContent = now.state === 'queued' ? 'queued'
			: (now.step ? `${now.step}, ` : '') + left(now);
	};
	element.update(job);
	return element;
}

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
			place.say(`${works[data.kind] || data.kind}: done.`);
		else
			element.hidden = !shown.size;
		done();
	};
	return element;
}

/* --- identity ---------------------------------------------------------- */

function driftTable(drift) {
	return table(['Field', 'Sealed as', 'Is now'], drift.map((field) => [
		h('code', {}, field.name),
		h('code', {}, field.old ?? 'missing'),
		h('code', {}, field.new ?? 'missing')]), {class: 'drift'});
}

function describeLease(lease) {
	return lease.state === 'here' ? [`here, ${lease.epoch} starts so far`]
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
	const title = stopped ? '' : 'Stop the vault first';

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
			       {disabled: !stopped, title, 'aria-label':
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
		h('input', {name: 'name', 'aria-label': 'Name of the snapshot',
			    placeholder: 'name, or the time',
			    autocomplete: 'off', spellcheck: 'false',
			    maxlength: 63}), make);

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
	const form = h('form', {class: 'inline'},
		h('input', {name: 'to', required: true,
			    'aria-label': 'Where it is written to',
			    placeholder: `/srv/${name}.mvault, or a URL`,
			    autocomplete: 'off', spellcheck: 'false'}),
		h('label', {class: 'check'},
		  h('input', {type: 'checkbox', name: 'move'}),
		  ' move: it runs there from then on, and no more here'), go);

	form.addEventListener('submit', async (event) => {
		event.preventDefault();
		const data = new FormData(form);
		const move = Boolean(data.get('move'));

		if (move && !await confirm(`Move ${name} away?`,
			'It will not start on this host any more; the host ' +
			'that imports it has the right to run it.', 'Move'))
			return;
		busy(go, place, async () => works.add(await api('POST',
			path(name, '/export'),
			{to: data.get('to').trim(), move})));
	});
	return form;
}

/* Follows a job until it is over; throws what it failed with. */
async function follow(job, show) {
	while (job.state === 'running' || job.state === 'queued') {
		show(job);
		await new Promise((resolve) => setTimeout(resolve, 400));
		job = await api('GET', `/jobs/${segment(job.id)}`);
	}
	if (job.state !== 'done')
		throw new Error(job.error || `It was ${job.state}.`);
	return job;
}

export function importDialog(done) {
	const place = notice();
	const working = h('div');
	const submit = h('button', {type: 'submit', class: 'primary'},
			 'Import');
	const form = h('form', {class: 'grid'},
		h('div', {class: 'field wide'},
		  h('label', {for: 'import-from'}, 'Bundle'),
		  h('input', {id: 'import-from', name: 'from', required: true,
			      autofocus: true, autocomplete: 'off',
			      spellcheck: 'false',
			      placeholder: '/srv/lesson.mvault'}),
		  h('small', {}, 'a file on the host, or a URL')),
		h('div', {class: 'field wide'},
		  h('label', {for: 'import-name'}, 'Name'),
		  h('input', {id: 'import-name', name: 'name', maxlength: 63,
			      autocomplete: 'off', spellcheck: 'false',
			      placeholder: 'as it was called'})),
		working, place,
		h('div', {class: 'buttons end wide'},
		  h('button', {type: 'button',
			       onclick: () => dialog.close()}, 'Close'),
		  submit));
	const dialog = h('dialog', {'aria-labelledby': 'import-title'},
		h('h2', {id: 'import-title'}, 'Import a vault'), form);

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		const data = new FormData(form);
		const order = {from: data.get('from').trim()};

		if (data.get('name').trim())
			order.name = data.get('name').trim();
		busy(submit, place, async () => {
			const job = await api('POST', '/import', order);
			const bar = worker(job, place);

			working.replaceChildren(bar);
			try {
				await follow(job, bar.update);
			} finally {
				working.replaceChildren();
			}
			place.say('It is here.');
			done();
		});
	});
	dialog.addEventListener('close', () => dialog.remove());
	document.body.append(dialog);
	dialog.showModal();
}

/* The part of a vault's page; .update(vault), .event(type, data). */
export function keeping(name, changed) {
	const place = notice();
	const works = workList(changed);
	const identity = h('div');
	const list = h('div');
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
	let stopped = false;

	async function loadSnapshots() {
		try {
			list.replaceChildren(snapshotTable(name,
				await api('GET', path(name, '/snapshots')),
				place, stopped));
		} catch (error) {
			list.replaceChildren(h('p', {class: 'why'},
					       error.message));
		}
	}
	const soon = later(loadSnapshots);

	const element = h('div', {class: 'keeping'},
		h('h2', {}, 'Identity'), works, place, identity,
		h('div', {class: 'buttons'}, seal, check, deep, take),
		h('h2', {}, 'Snapshots'), list,
		snapshotForm(name, place, soon),
		h('h2', {}, 'Moving house'), exportForm(name, place, works));

	element.update = (vault) => {
		stopped = vault.state === 'stopped' ||
			vault.state === 'crashed';
		identity.replaceChildren(...describeIdentity(vault));
		seal.hidden = vault.identity.sealed;
		check.hidden = !vault.identity.sealed;
		take.hidden = !vault.lease || vault.lease.state === 'here';
		for (const button of [seal, check]) {
			button.disabled = !stopped;
			button.title = stopped ? '' : 'Stop the vault first';
		}
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
