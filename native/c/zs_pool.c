/*
 * zs_pool.c - one kernel on several threads.
 *
 * A call of P parts is the same function called P times at once, with arguments that differ in
 * 'part'; it divides its loops by zs_cut() and keeps its phases apart by ZS_BARRIER().  Part 0
 * runs on the caller's thread, the others on workers, which are started when first needed and
 * never end.  There is one set of workers and no queue: a caller that finds them at work for
 * another runs all of its kernel itself, which gives the same result.
 *
 * Whoever waits looks for a while and then sleeps, so that an idle pool takes nothing from the
 * threads of BLAS or of torch beside it: for SPIN_NS; a worker for KEEN_NS where the last call
 * came as soon as that after the one before, and as long a caller whose own part is done, since the
 * others are about to be.  A forked child has none of the workers: it starts anew.
 *
 * Where something else runs on a worker's processor, it may wake milliseconds late.  A part is its
 * worker's only once it has begun it: a caller that is done first, and has met no barrier, runs the
 * parts that nobody has begun itself, and waits for no worker to wake.
 *
 * A system may wake a worker on the processor that its caller runs on, which then waits for all of
 * the worker's part before it begins its own.  A worker that finds itself there goes elsewhere.
 */
#define _GNU_SOURCE /* of Linux: which processor this is */
#include "zs_kernel.h"

#include <fenv.h>
#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define ZS_MOST_PARTS 1024 /* as many threads as a user may set */

#define SPIN_NS 50000  /* a few times what it takes to wake a thread that sleeps */
#define KEEN_NS 300000 /* what may lie between two calls of a loop in Python that follows one kernel
                          with the next: tens of us where a kernel has left the caches empty */

typedef int32_t (*zs_function)(zs_args *);

/* ---- a number that some threads wait for another to move ------------------------------ */

typedef struct zs_number {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t value;
} zs_number;

#define ZS_NUMBER {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static int64_t value_of(const zs_number *number)
{
    return __atomic_load_n(&number->value, __ATOMIC_ACQUIRE);
}

/* move() - set the number and wake all who wait; what was written before is seen by them. */
static void move(zs_number *number, int64_t to)
{
    pthread_mutex_lock(&number->lock);
    __atomic_store_n(&number->value, to, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&number->lock);
    pthread_cond_broadcast(&number->moved); /* of whoever wakes, none finds the lock taken */
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* wait_past() - return when the number is another than 'from'; sleep after 'spin_ns'. */
static void wait_past(zs_number *number, int64_t from, int64_t spin_ns)
{
    const int64_t until = now_ns() + spin_ns;
    do {
        for (int i = 0; i < 16; i++) {
            if (value_of(number) != from)
                return;
            relax();
        }
    } while (now_ns() < until);
    pthread_mutex_lock(&number->lock);
    while (value_of(number) == from)
        pthread_cond_wait(&number->moved, &number->lock);
    pthread_mutex_unlock(&number->lock);
}

/* ---- the parts of one call ------------------------------------------------------------- */

/* What a part has left of itself: as in zs_args. */
typedef struct zs_outcome {
    int32_t error;
    int64_t where, work;
} zs_outcome;

typedef struct zs_team {
    zs_function function;
    zs_args *lead;
    int64_t parts;
    fenv_t mode;            /* rounding and denormals, as the caller has set them */
    pthread_t caller;
    int cpu;                /* where the caller was when it began; -1 where nobody knows */
    int met;                /* whether part 0 has come to a barrier; the caller's own */
    pthread_mutex_t lock;   /* of the five below */
    int64_t running;        /* parts that have not returned */
    int64_t waiting;        /* of these, how many have come to the barrier */
    int32_t failed;         /* whether a part returned an error */
    int32_t verdict;        /* 'failed' when the last barrier opened */
    zs_number passed;       /* barriers that were opened */
    zs_number ended;        /* calls that were ended, in all */
    zs_outcome outcome[ZS_MOST_PARTS];
} zs_team;

/* open_barrier() - let all go on who wait; the lock is held, and is given back. */
static void open_barrier(zs_team *team)
{
    team->waiting = 0;
    team->verdict = team->failed;
    pthread_mutex_unlock(&team->lock);
    move(&team->passed, value_of(&team->passed) + 1);
}

/* meet() - ZS_BARRIER of one part: ZS_OK, or ZS_ESTOPPED where another part has failed. */
static int32_t meet(zs_args *args)
{
    zs_team *team = args->team;
    const int64_t passed = value_of(&team->passed);
    if (args->part == 0)
        team->met = 1;
    pthread_mutex_lock(&team->lock);
    if (++team->waiting == team->running) {
        open_barrier(team);
    } else {
        pthread_mutex_unlock(&team->lock);
        wait_past(&team->passed, passed, SPIN_NS);
    }
    /* The next barrier opens only when this part has come to it, or has left. */
    return team->verdict ? ZS_ESTOPPED : ZS_OK;
}

/* leave() - a part has returned: nobody waits for it any more. */
static void leave(zs_team *team, int32_t error)
{
    pthread_mutex_lock(&team->lock);
    team->failed |= error != ZS_OK;
    const int64_t left = --team->running;
    if (left > 0 && team->waiting == left)
        open_barrier(team);
    else
        pthread_mutex_unlock(&team->lock);
    if (left == 0)
        move(&team->ended, value_of(&team->ended) + 1);
}

/* run_part() - what the part has returned. */
static int32_t run_part(zs_team *team, int64_t part)
{
    zs_args own = {
        .version = team->lead->version,
        .where = -1,
        .part = part,
        .parts = team->parts,
        .lead = team->lead,
        .meet = meet,
        .team = team,
    };
    __builtin_memcpy(own.buf, team->lead->buf, sizeof own - offsetof(zs_args, buf));
    const int32_t status = team->function(&own);
    const int32_t error = own.error != ZS_OK ? own.error : status;
    team->outcome[part] = (zs_outcome){error, own.where, own.work};
    leave(team, error);
    return error;
}

/*
 * gather() - into the caller's arguments: the work of all parts, and the first error.
 *
 * Parts take a loop in its order, so that the lowest part that failed by itself has found what
 * one thread would have found first.  The others may have left because of it.
 */
static int32_t gather(zs_team *team)
{
    const zs_outcome *worst = NULL;
    int64_t work = 0;
    for (int64_t part = 0; part < team->parts; part++) {
        const zs_outcome *found = &team->outcome[part];
        work += found->work;
        if (found->error != ZS_OK && (!worst || (worst->error == ZS_ESTOPPED
                                                 && found->error != ZS_ESTOPPED)))
            worst = found;
    }
    team->lead->work = work;
    if (!worst)
        return ZS_OK;
    return zs_fail(team->lead, worst->error, worst->where);
}

/* ---- workers --------------------------------------------------------------------------- */

typedef struct zs_worker {
    int64_t part;       /* of every call that it takes part in: 1, 2, ... */
    zs_number calls;    /* calls that it was given */
    int64_t begun;      /* calls whose part has been begun, by it or by the caller */
} zs_worker;

/*
 * begin() - whether the part of a worker's call number 'call', counted from 0, is to be run by whoever
 * asks, the worker or the caller: of the two one is told so, once.
 *
 * A call does not end before its part has been begun, so that what a worker knows of a call it may
 * read after this, and not before.
 */
static int begin(zs_worker *worker, int64_t call)
{
    return __atomic_compare_exchange_n(&worker->begun, &call, call + 1, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static zs_team the_team = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .passed = ZS_NUMBER, .ended = ZS_NUMBER,
};
static zs_worker *workers[ZS_MOST_PARTS];
static int64_t n_workers;   /* workers[1 .. n_workers] are there */
static int32_t taken;       /* whether a caller has the pool; all of the above is then its own */

/* ---- processors ------------------------------------------------------------------------ */

#if defined(__linux__)
static int this_cpu(void) { return sched_getcpu(); }

/*
 * make_way() - leave processor 'cpu' to 'caller', which may run there, for any other that it may
 * run on; stay where there is none.
 */
static void make_way(pthread_t caller, int cpu)
{
    cpu_set_t all, others;
    if (pthread_getaffinity_np(caller, sizeof all, &all) != 0 || !CPU_ISSET(cpu, &all))
        return;
    others = all;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) == 0)
        return;
    pthread_setaffinity_np(pthread_self(), sizeof others, &others);
    pthread_setaffinity_np(pthread_self(), sizeof all, &all); /* callers go elsewhere too */
}
#else
static int this_cpu(void) { return -1; }
static void make_way(pthread_t caller, int cpu) { (void)caller, (void)cpu; }
#endif

/* ---- a worker's life ------------------------------------------------------------------- */

static void *work(void *given)
{
    zs_worker *self = given;
    int64_t spin_ns = SPIN_NS;
    for (int64_t done = 0;; done++) {
        const int64_t since = now_ns();
        wait_past(&self->calls, done, spin_ns);
        spin_ns = now_ns() - since < KEEN_NS ? KEEN_NS : SPIN_NS;
        if (!begin(self, done))
            continue;
        if (the_team.cpu >= 0 && the_team.cpu == this_cpu())
            make_way(the_team.caller, the_team.cpu);
        fesetenv(&the_team.mode);
        run_part(&the_team, self->part);
    }
    return NULL;
}

/* start_worker() - one more, with every signal blocked; 0 where the system has none to give. */
static int start_worker(void)
{
    zs_worker *worker = malloc(sizeof *worker);
    if (!worker)
        return 0;
    *worker = (zs_worker){.part = n_workers + 1, .calls = ZS_NUMBER};
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(worker);
        return 0;
    }
    pthread_detach(thread);
    workers[++n_workers] = worker;
    return 1;
}

/* In a forked child: no workers, no call.  What they had is left, locked as it may be. */
static void start_anew(void)
{
    n_workers = 0;
    the_team.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    the_team.passed = (zs_number)ZS_NUMBER;
    the_team.ended = (zs_number)ZS_NUMBER;
    __atomic_store_n(&taken, 0, __ATOMIC_RELEASE);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void watch_forks(void) { pthread_atfork(NULL, NULL, start_anew); }

/* ---- the call -------------------------------------------------------------------------- */

/*
 * zs_pool_run() - what function(args) returns and leaves in the arguments, by up to 'parts'
 * threads, this one among them.
 *
 * Fewer where the system gives fewer threads, and one where the pool is taken.  'work' is the
 * sum over the parts; an error that several parts found is the first in the order of the loop.
 * May be called from any threads at once, each with arguments of its own.
 */
int32_t zs_pool_run(int64_t parts, zs_function function, zs_args *args);

int32_t zs_pool_run(int64_t parts, zs_function function, zs_args *args)
{
    zs_team *team = &the_team;
    if (parts <= 1 || __atomic_exchange_n(&taken, 1, __ATOMIC_ACQUIRE))
        return function(args);
    pthread_once(&once, watch_forks);
    parts = zs_min(parts, ZS_MOST_PARTS);
    while (n_workers < parts - 1 && start_worker())
        ;
    parts = zs_min(parts, n_workers + 1);
    if (parts == 1) {
        __atomic_store_n(&taken, 0, __ATOMIC_RELEASE);
        return function(args);
    }
    team->function = function;
    team->lead = args;
    team->parts = team->running = parts;
    team->waiting = 0;
    team->failed = team->verdict = 0;
    fegetenv(&team->mode);
    team->caller = pthread_self();
    team->cpu = this_cpu();
    team->met = 0;
    const int64_t ended = value_of(&team->ended);
    for (int64_t part = 1; part < parts; part++)
        move(&workers[part]->calls, value_of(&workers[part]->calls) + 1);
    const int32_t failed = run_part(team, 0);
    for (int64_t part = 1; part < parts && !failed && !team->met; part++)
        if (begin(workers[part], value_of(&workers[part]->calls) - 1))
            run_part(team, part);
    wait_past(&team->ended, ended, KEEN_NS);
    const int32_t error = gather(team);
    __atomic_store_n(&taken, 0, __ATOMIC_RELEASE);
    return error;
}
