/* A few threads that do tasks. */
#include "daemon/workers.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct task {
	void (*run)(void *);
	void *data;
	struct task *next;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct task *first, **last;
	bool ending;
	unsigned count;
	pthread_t threads[];
};

static void *work(void *data)
{
	struct workers *w = data;
	struct task *task;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->first && !w->ending)
			pthread_cond_wait(&w->wake, &w->lock);
		task = w->first;
		if (!task)
			break;
		w->first = task->next;
		if (!w->first)
			w->last = &w->first;
		pthread_mutex_unlock(&w->lock);
		task->run(task->data);
		free(task);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int workers_new(struct workers **workers, unsigned threads, struct error *error)
{
	struct workers *w = calloc(1, sizeof(*w) + threads * sizeof(pthread_t));

	*workers = NULL;
	if (!w)
		return error_set(error, -ENOMEM, "no memory");
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->last = &w->first;
	for (; w->count < threads; w->count++)
		if (pthread_create(&w->threads[w->count], NULL, work, w)) {
			workers_free(w);
			return error_set(error, -EAGAIN,
					 "can't start a thread");
		}
	*workers = w;
	return 0;
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->count; i++)
		pthread_join(w->threads[i], NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	free(w);
}

int workers_add(struct workers *w, void (*run)(void *), void *data)
{
	struct task *task = malloc(sizeof(*task));

	if (!task)
		return -ENOMEM;
	*task = (struct task){run, data, NULL};
	pthread_mutex_lock(&w->lock);
	*w->last = task;
	w->last = &task->next;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return 0;
}
