/*
 * The pool from several threads at once, under the thread sanitizer and under ASan and UBSan.
 *
 * A kernel here sums numbers in phases: each part its share, part 0 what the parts have found, and
 * each part again from that.  Any place that two parts touch without a barrier is a race.
 */
#include "zs_pool.c"

#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 500
#define CALLERS 4
#define ROUNDS 300

static int failures = 0;

#define CHECK(got, expected)                                                                \
    do {                                                                                    \
        const int64_t got_ = (int64_t)(got), expected_ = (int64_t)(expected);               \
        if (got_ != expected_) {                                                            \
            printf("line %d: %s is %" PRId64 ", not %" PRId64 "\n", __LINE__, #got, got_,   \
                   expected_);                                                              \
            __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);                             \
        }                                                                                   \
    } while (0)

/* dim[0]: the part that fails, or -1; dim[1]: after how many barriers. */
static int32_t phases(zs_args *args)
{
    int64_t *all = args->buf[0], *found = args->buf[1], *sum = args->buf[2];
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    const int fails = args->part == args->dim[0];
    if (fails && args->dim[1] == 0)
        return zs_fail(args, ZS_ERANGE, args->part);
    ZS_SHARED(i, args->part, args->parts, 0, N) {
        all[i] = i;
    }
    ZS_BARRIER(args);
    if (fails && args->dim[1] == 1)
        return zs_fail(args, ZS_ERANGE, args->part);
    found[args->part] = 0;
    ZS_SHARED(i, args->part, args->parts, 0, N) {
        found[args->part] += all[N - 1 - i];
    }
    ZS_BARRIER(args);
    if (args->part == 0) {
        *sum = 0;
        for (int64_t part = 0; part < args->parts; part++)
            *sum += found[part];
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, N) {
        all[i] = *sum;
        args->work++;
    }
    return fails ? zs_fail(args, ZS_ERANGE, args->part) : ZS_OK;
}

/* No barrier: parts that no worker has begun are run by the caller. */
static int32_t apart(zs_args *args)
{
    int64_t *runs = args->buf[0];
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    runs[args->part]++;
    args->work = 1;
    return args->part == args->dim[0] ? zs_fail(args, ZS_ERANGE, args->part) : ZS_OK;
}

static int32_t endless(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    for (;;) {
        __atomic_store_n((int64_t *)args->buf[0], 1, __ATOMIC_RELAXED);
        ZS_POLL(args);
    }
}

static void *call_often(void *given)
{
    const int64_t caller = (int64_t)(intptr_t)given;
    int64_t all[N], found[8], sum;
    for (int64_t round = 0; round < ROUNDS; round++) {
        const int64_t parts = 1 + (round + caller) % 8;
        const int64_t failing = round % 3 == 0 ? round % parts : -1;
        zs_args args = {.version = ZS_ARGS_VERSION, .where = -1};
        args.buf[0] = all;
        args.buf[1] = found;
        args.buf[2] = &sum;
        args.dim[0] = failing;
        args.dim[1] = round / 3 % 3;
        const int32_t error = zs_pool_run(parts, phases, &args);
        CHECK(error, args.error);
        if (failing > 0 && error == ZS_OK) /* alone, since another had the pool */
            CHECK(args.parts, 1);
        else
            CHECK(error, failing >= 0 ? ZS_ERANGE : ZS_OK);
        if (error != ZS_OK) {
            CHECK(args.where, failing);
            continue;
        }
        CHECK(args.work, N);
        for (int64_t i = 0; i < N; i++)
            CHECK(all[i], N * (N - 1) / 2);
    }
    return NULL;
}

static void test_every_part_is_run_once(void)
{
    for (int64_t round = 0; round < 20 * ROUNDS; round++) {
        const int64_t parts = 1 + round % 8, failing = round % 3 == 0 ? round % parts : -1;
        int64_t runs[8] = {0};
        zs_args args = {.version = ZS_ARGS_VERSION, .where = -1, .buf = {runs}, .dim = {failing}};
        CHECK(zs_pool_run(parts, apart, &args), failing >= 0 ? ZS_ERANGE : ZS_OK);
        CHECK(args.where, failing);
        for (int64_t part = 0; part < 8; part++)
            CHECK(runs[part], part < parts);
        if (parts > 1)
            CHECK(args.work, parts);
    }
}

static void test_a_part_is_begun_by_one(void)
{
    zs_worker worker = {.part = 1, .calls = ZS_NUMBER};
    CHECK(begin(&worker, 0), 1);
    CHECK(begin(&worker, 0), 0); /* the other comes late, */
    CHECK(begin(&worker, 1), 1);
    CHECK(begin(&worker, 0), 0); /* or a call later */
    CHECK(worker.begun, 2);
}

static void *stop_soon(void *given)
{
    zs_args *args = given;
    while (!__atomic_load_n((int64_t *)args->buf[0], __ATOMIC_RELAXED))
        relax();
    __atomic_store_n(&args->stop, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void test_stop(void)
{
    int64_t begun = 0;
    zs_args args = {.version = ZS_ARGS_VERSION, .where = -1, .buf = {&begun}};
    pthread_t stopper;
    pthread_create(&stopper, NULL, stop_soon, &args);
    CHECK(zs_pool_run(3, endless, &args), ZS_ESTOPPED);
    pthread_join(stopper, NULL);
}

static void test_callers(void)
{
    pthread_t callers[CALLERS];
    for (int64_t k = 0; k < CALLERS; k++)
        pthread_create(&callers[k], NULL, call_often, (void *)(intptr_t)k);
    for (int64_t k = 0; k < CALLERS; k++)
        pthread_join(callers[k], NULL);
}

int main(void)
{
    call_often(NULL);
    CHECK(n_workers, 7);
    test_every_part_is_run_once();
    test_a_part_is_begun_by_one();
    test_stop();
    test_callers();
#ifdef FORKS /* the thread sanitizer starts no threads in a child */
    const pid_t child = fork();
    if (child == 0) {
        CHECK(n_workers, 0);
        test_callers();
        _exit(failures != 0);
    }
    int status;
    CHECK(waitpid(child, &status, 0), child);
    CHECK(status, 0);
#endif
    call_often(NULL);
    if (failures == 0)
        puts("good");
    return failures != 0;
}
