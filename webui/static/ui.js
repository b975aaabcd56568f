// What the views share: elements, the API, figures, dialogs, downloads.

/* An element: attributes, on… handlers, and children (text or elements). */
export function h(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);

	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith('on'))
			element.addEventListener(name.slice(2), value);
		else if (value === true)
			element.setAttribute(name, '');
		else if (value !== false && value !== null &&
			 value !== undefined)
			element.setAttribute(name, value);
	}
	element.append(...children.flat().filter(
		(child) => child !== null && child !== undefined &&
			child !== false));
	return element;
}

export class ApiError extends Error {
	constructor(status, text) {
		super(text);
		this.status = status;
	}
}

/* Asks /api/v1; gives what it answered, or throws an ApiError. */
export async function api(method, path, body) {
	const options = {method, headers: {}};
	let answer, data = {};

	if (body !== undefined) {
		options.headers['Content-Type'] = 'application/json';
		options.body = JSON.stringify(body);
	}
	try {
		answer = await fetch('/api/v1' + path, options);
	} catch {
		throw new ApiError(0, 'mediavmd does not answer; ' +
				      'is it running?');
	}
	try {
		data = await answer.json();
	} catch {
		data = {};
	}
	if (answer.status === 401)
		window.dispatchEvent(new Event('logged-out'));
	if (!answer.ok)
		throw new ApiError(answer.status, data.error ||
				   `the daemon answered ${answer.status}`);
	return data;
}

export const segment = encodeURIComponent;

/* Loads soon, and once however often it is called; .cancel() not at all. */
export function later(load) {
	let timer = null;
	const soon = () => {
		timer ??= setTimeout(() => {
			timer = null;
			load();
		}, 150);
	};

	soon.cancel = () => {
		clearTimeout(timer);
		timer = null;
	};
	return soon;
}

/* --- figures ----------------------------------------------------------- */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function size(bytes) {
	let i = 0;

	while (bytes >= 1023.95 && i < units.length - 1) {
		bytes /= 1024;
		i++;
	}
	return `${i ? bytes.toFixed(1).replace(/\.0$/, '') : bytes} ${units[i]}`;
}

export function duration(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	const two = (n) => String(n).padStart(2, '0');

	return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}`
		: `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:` +
			two(s % 60);
}

const timeFormat = new Intl.DateTimeFormat(undefined,
	{dateStyle: 'medium', timeStyle: 'short'});
const secondsFormat = new Intl.DateTimeFormat(undefined,
	{dateStyle: 'medium', timeStyle: 'medium'});

export function time(text, withSeconds = false) {
	if (!text)
		return '–';
	const format = withSeconds ? secondsFormat : timeFormat;

	return h('time', {datetime: text, title: text},
		 format.format(new Date(text)));
}

/* Why a session ended. */
export const endReasons = {
	client: 'the viewer left', guest: 'the guest ended or closed it',
	killed: 'ended by an operator', idle: 'idle for too long',
	recording: 'the recording could not be written',
	protocol: 'a side broke the protocol',
	shutdown: 'the gateway was stopped', lost: 'the gateway was lost',
};

/* A word with a colour of its own that is never the only sign. */
export function pill(state, text = state) {
	return h('span', {class: `pill ${state}`}, text);
}

export function facts(...rows) {
	return h('dl', {class: 'facts'}, rows.filter(Boolean).map(
		([name, ...value]) => h('div', {}, h('dt', {}, name),
					h('dd', {}, ...value))));
}

/* --- what goes wrong, where it happened -------------------------------- */

/* A place for messages; .say(text), .fail(error), .clear(). */
export function notice() {
	const element = h('p', {class: 'notice', hidden: true});

	const put = (kind, role, text) => {
		element.className = `notice ${kind}`;
		element.setAttribute('role', role);
		element.textContent = text;
		element.hidden = false;
	};
	element.say = (text) => put('good', 'status', text);
	element.fail = (error) => put('bad', 'alert', error.message);
	element.clear = () => {
		element.hidden = true;
	};
	return element;
}

/*
 * Runs work for a button, an error shown in notice. Meanwhile the button does
 * nothing; it is not disabled, for that would take the keyboard's focus away.
 */
export async function busy(button, place, work) {
	if (button.getAttribute('aria-busy'))
		return undefined;
	button.setAttribute('aria-busy', 'true');
	place.clear();
	try {
		return await work();
	} catch (error) {
		place.fail(error);
		return undefined;
	} finally {
		button.removeAttribute('aria-busy');
	}
}

export function action(text, place, work, attributes = {}) {
	const button = h('button', {type: 'button', ...attributes}, text);

	button.addEventListener('click', () => busy(button, place, work));
	return button;
}

/* --- dialogs ----------------------------------------------------------- */

/* Asks; true when the person agrees. Escape and the backdrop mean no. */
export function confirm(title, text, verb) {
	return new Promise((resolve) => {
		const yes = h('button', {type: 'submit', value: 'yes',
					 class: 'danger'}, verb);
		const no = h('button', {type: 'submit', value: 'no',
					autofocus: true}, 'Cancel');
		const dialog = h('dialog', {'aria-labelledby': 'ask-title',
					    'aria-describedby': 'ask-text'},
			h('form', {method: 'dialog'},
			  h('h2', {id: 'ask-title'}, title),
			  h('p', {id: 'ask-text'}, text),
			  h('div', {class: 'buttons end'}, no, yes)));

		dialog.addEventListener('close', () => {
			dialog.remove();
			resolve(dialog.returnValue === 'yes');
		});
		document.body.append(dialog);
		dialog.showModal();
	});
}

/* A field with its label; its hint is read out with it. */
export function field(form, label, hint, input) {
	input.id = `${form}-${input.name}`;
	if (hint)
		input.setAttribute('aria-describedby', `${input.id}-hint`);
	return h('div', {class: 'field'}, h('label', {for: input.id}, label),
		 input, hint ? h('small', {id: `${input.id}-hint`}, hint)
			: null);
}

/* What people type that is no prose. */
export function entry(name, placeholder, attributes = {}) {
	return h('input', {name, placeholder, autocomplete: 'off',
			   autocapitalize: 'off', spellcheck: 'false',
			   ...attributes});
}

/*
 * A dialog with a form. work(data, say) does what the form is for: data(NAME)
 * is a field's text without blanks around it, undefined when there is none;
 * say(...) shows how far it is. What it returns is shown instead of the
 * fields; of nothing, the dialog closes.
 */
export function formDialog({name, title, about, fields, verb}, work) {
	const place = notice();
	const progress = h('div', {class: 'wide'});
	const submit = h('button', {type: 'submit', class: 'primary'}, verb);
	const close = h('button', {type: 'button',
				   onclick: () => dialog.close()}, 'Close');
	const form = h('form', {class: 'grid'}, fields, progress, place,
		h('div', {class: 'buttons end wide'}, close, submit));
	const dialog = h('dialog', {class: 'large',
				    'aria-labelledby': `${name}-title`},
		h('h2', {id: `${name}-title`, tabindex: -1}, title),
		about ? h('p', {class: 'why'}, about) : null, form);

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		const given = new FormData(form);
		const data = (key) => given.get(key)?.trim() || undefined;

		busy(submit, place, async () => {
			try {
				const shown = await work(data,
					(...what) =>
					progress.replaceChildren(...what));

				if (!shown) {
					dialog.close();
					return;
				}
				form.replaceChildren(h('div', {class: 'wide'},
					shown), h('div', {class:
					'buttons end wide'}, close));
				dialog.querySelector('h2').focus();
			} finally {
				progress.replaceChildren();
			}
		});
	});
	dialog.addEventListener('close', () => dialog.remove());
	document.body.append(dialog);
	dialog.showModal();
	return dialog;
}

/* --- downloads --------------------------------------------------------- */

/* Hands a viewer's file to the browser, and says what it is good for. */
export function saveViewerFile(name, connection, place) {
	const blob = new Blob([connection.vv],
			      {type: 'application/x-virt-viewer'});
	const url = URL.createObjectURL(blob);
	const link = h('a', {href: url, download: `${name}.vv`});

	document.body.append(link);
	link.click();
	link.remove();
	setTimeout(() => URL.revokeObjectURL(url), 60000);

	const expires = new Date(connection.expires_at);
	const seconds = Math.max(0, Math.round((expires - Date.now()) / 1000));
	const until = expires.toLocaleTimeString();

	place.say(`${name}.vv was downloaded. Open it with remote-viewer ` +
		  `within ${seconds} s (until ${until}); its ticket works ` +
		  'once.');
	clearTimeout(place.timer);
	place.timer = setTimeout(
		() => place.say(`The ticket of ${name}.vv has expired. ` +
				'Connect again for a new one.'),
		seconds * 1000);
}
