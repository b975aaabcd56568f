// How vaults come: made anew, imported, taken over from libvirt, attached.
import {api, entry, field, formDialog, h, segment} from './ui.js';
import {follow} from './work.js';

const GiB = 2 ** 30;

function show(name) {
	location.hash = `#/vaults/${segment(name)}`;
}

function link(name) {
	return h('p', {}, h('a', {href: `#/vaults/${segment(name)}`},
			    `Go to ${name}`));
}

function textarea(name, attributes = {}) {
	return h('textarea', {name, rows: 5, spellcheck: 'false',
			      autocomplete: 'off', ...attributes});
}

function checkbox(name, text) {
	return h('label', {class: 'check'},
		 h('input', {name, type: 'checkbox'}), ` ${text}`);
}

function list(title, lines) {
	return lines?.length ? [h('h3', {}, title),
		h('ul', {}, lines.map((line) => h('li', {}, line)))] : [];
}

/* --- a new one --------------------------------------------------------- */

const firmwares = [['bios', 'BIOS'], ['uefi', 'UEFI'],
	['secure', 'UEFI with Secure Boot']];

function number(name, value, min, max, step = 1) {
	return h('input', {name, type: 'number', value, min, max, step,
			   required: true});
}

function specOf(data) {
	const spec = {name: data('name'),
		      memory: Math.round(data('memory') * 1024) * 2 ** 20,
		      cpus: Number(data('cpus')), heads: Number(data('heads')),
		      firmware: data('firmware') === 'bios' ? 'bios' : 'uefi'};

	if (data('firmware') === 'secure')
		spec.secure_boot = true;
	if (data('disk'))
		spec.disk = data('disk');
	else
		spec.disk_size = Math.round(data('disk_size') * GiB);
	for (const key of ['iso', 'iso_sha256', 'os', 'cpu'])
		if (data(key))
			spec[key] = data(key);
	if (data('tpm'))
		spec.tpm = true;
	return spec;
}

function createFields() {
	const f = (label, hint, input) => field('new', label, hint, input);

	return [
		f('Name', 'letters, digits, . _ and -', entry('name', null, {
			required: true, autofocus: true, maxlength: 63,
			pattern: '[A-Za-z0-9][A-Za-z0-9._\\-]*'})),
		f('Guest system', 'as libosinfo names it; win… gets what ' +
			'Windows needs', entry('os', 'win11')),
		f('Firmware', 'Windows 11 needs Secure Boot and a TPM',
		  h('select', {name: 'firmware'}, firmwares.map(
			  ([value, text]) => h('option', {value}, text)))),
		checkbox('tpm', 'TPM 2.0'),
		f('Memory, GiB', null, number('memory', 2, 0.125, 1024, 0.125)),
		f('Processors', null, number('cpus', 2, 1, 64)),
		f('CPU model', 'a portable one if empty',
		  entry('cpu', 'Nehalem')),
		f('Monitors', null, number('heads', 1, 1, 4)),
		f('Empty disk, GiB', 'not used when an image is named',
		  number('disk_size', 50, 1, 65536)),
		f('Disk image', 'a file on the host, qcow2 or raw; copied',
		  entry('disk', '/srv/disk.qcow2')),
		f('CD image', 'to install from: a file on the host, or a URL, ' +
			'which is fetched first', entry('iso', '/srv/setup.iso')),
		f('SHA-256 of the CD image', 'another image is refused',
		  entry('iso_sha256', '64 hexadecimal digits', {maxlength: 64,
			pattern: '[0-9A-Fa-f]{64}'})),
	];
}

export function createDialog() {
	const dialog = formDialog({name: 'new', title: 'New vault',
		about: 'Its hardware is fixed when it is made and never ' +
			'changes afterwards.',
		fields: createFields(), verb: 'Create'}, async (data, say) => {
		const made = await api('POST', '/vaults', specOf(data));

		if (made.kind === 'download')
			await follow(made, say);
		show(data('name'));
	});
	const {os, firmware, tpm, memory} = dialog.querySelector('form').elements;

	os.addEventListener('change', () => {
		if (!/^win(dows)?11/i.test(os.value.trim()))
			return;
		firmware.value = 'secure';
		tpm.checked = true;
		memory.value = Math.max(4, memory.value);
	});
}

/* --- from a bundle ----------------------------------------------------- */

export function importDialog() {
	const f = (label, hint, input) => field('import', label, hint, input);

	formDialog({name: 'import', title: 'Import a vault',
		about: 'One that was not moved is a backup: it starts after ' +
			'“Restore the right to run” on its page.',
		fields: [
			f('Bundle', 'a file on the host, or a URL', entry('from',
				'/srv/lesson.mvault', {required: true,
				autofocus: true})),
			f('Name', null, entry('name', 'as it was called',
					      {maxlength: 63})),
			f('Key of the host that must have signed it',
			  'any if empty', entry('signer',
						'64 hexadecimal digits')),
			checkbox('check', 'only check it'),
		], verb: 'Import'}, async (data, say) => {
		const order = {from: data('from'), check: Boolean(data('check'))};

		for (const key of ['name', 'signer'])
			if (data(key))
				order[key] = data(key);
		const {result} = await follow(
			await api('POST', '/import', order), say);

		if (!result.checked) {
			show(result.vault);
			return undefined;
		}
		return [h('p', {}, `The bundle is good: vault ${result.vault}, ` +
				`${result.files} files, ` +
				(result.moved ? 'moved here.' : 'a backup.')),
			h('p', {}, 'Signed by the host with key ',
			  h('code', {}, result.signer), '.')];
	});
}

/* --- from libvirt ------------------------------------------------------ */

function report({name, adoption}) {
	return [h('p', {}, `${name} is taken over. Do not start the old ` +
			   'domain any more.'),
		...list('Changed, outside of the guest’s sight',
			adoption.changed),
		...list('What nothing keeps as it is', adoption.unpinned),
		link(name)];
}

export function adoptDialog() {
	const f = (label, hint, input) => field('adopt', label, hint, input);

	formDialog({name: 'adopt', title: 'Take over a guest of libvirt',
		about: 'Its identity stays as it is. Shut it down first.',
		fields: [
			f('Domain', 'its name at the libvirt of this host',
			  entry('domain', 'old-player', {autofocus: true})),
			f('libvirt', null, entry('uri', 'qemu:///system')),
			h('div', {class: 'wide'}, f('Or its definition',
				'what virsh dumpxml prints',
				textarea('xml', {placeholder:
					'<domain type=\'kvm\'>…'}))),
			f('Name', null, entry('name', 'the domain’s',
					      {maxlength: 63})),
			checkbox('in_place', 'leave its disks where they are'),
		], verb: 'Take over'}, async (data) => {
		const order = {in_place: Boolean(data('in_place'))};

		for (const key of ['domain', 'uri', 'xml', 'name'])
			if (data(key))
				order[key] = data(key);
		return report(await api('POST', '/adopt', order));
	});
}

/* --- what something else keeps ----------------------------------------- */

export function attachDialog() {
	const f = (label, hint, input) => field('attach', label, hint, input);

	formDialog({name: 'attach', title: 'Attach a SPICE server',
		about: 'A guest that something else keeps, such as a plain ' +
			'qemu -spice: its sessions are shown and recorded.',
		fields: [
			f('Name', 'letters, digits, . _ and -', entry('name',
				null, {required: true, autofocus: true,
				       maxlength: 63})),
			f('Where it is', 'HOST:PORT, tls:HOST:PORT or unix:PATH',
			  entry('spice', 'tls:lab.example.org:5901',
				{required: true})),
			f('Password', 'of the server, if it wants one',
			  h('input', {name: 'password', type: 'password',
				      autocomplete: 'new-password'})),
			h('div', {class: 'wide'}, f('Certificate authority',
				'for tls:, in PEM: the certificate that ' +
				'signed the server’s', textarea('ca'))),
		], verb: 'Attach'}, async (data) => {
		const order = {name: data('name'), spice: data('spice')};

		for (const key of ['password', 'ca'])
			if (data(key))
				order[key] = data(key);
		show((await api('POST', '/attach', order)).name);
	});
}
