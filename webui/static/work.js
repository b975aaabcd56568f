// Long work: a job's progress, and following it to its end.
import {action, api, duration, h, notice, segment, size} from './ui.js';

export const works = {
	seal: 'Sealing', verify: 'Verifying', export: 'Exporting',
	import: 'Importing', digest: 'Computing digests', bundle: 'Bundling',
	download: 'Downloading', check: 'Checking',
};

function left(job) {
	const parts = [`${Math.round((job.progress || 0) * 100)} %`];

	if (job.rate)
		parts.push(`${size(job.rate)}/s`);
	if (job.seconds_left)
		parts.push(`${duration(job.seconds_left * 1000)} left`);
	return parts.join(', ');
}

export function worker(job, place) {
	const name = works[job.kind] || job.kind;
	const bar = h('progress', {max: 1, 'aria-label': name});
	const text = h('span');
	const element = h('p', {class: 'working', 'data-job': job.id},
		h('span', {}, name), bar, text,
		action('Cancel', place,
		       () => api('DELETE', `/jobs/${segment(job.id)}`),
		       {class: 'quiet', 'aria-label': `Cancel: ${name}`}));

	element.update = (now) => {
		bar.value = now.progress || 0;
		text.textContent = now.state === 'queued' ? 'queued'
			: (now.step ? `${now.step}, ` : '') + left(now);
	};
	element.update(job);
	return element;
}

/*
 * Shows a job until it is over: say(...) takes its progress. Throws what it
 * failed with. Who leaves does not end it.
 */
export async function follow(job, say) {
	const place = notice();
	const bar = worker(job, place);

	say(bar, place, h('p', {class: 'why'}, 'It goes on when this is closed.'));
	while (job.state === 'running' || job.state === 'queued') {
		bar.update(job);
		await new Promise((resolve) => setTimeout(resolve, 400));
		job = await api('GET', `/jobs/${segment(job.id)}`);
	}
	if (job.state !== 'done')
		throw new Error(job.error || `It was ${job.state}.`);
	return job;
}
