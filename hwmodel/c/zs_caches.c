/*
 * zs_caches.c - which accesses of a trace miss in a cache that holds whole fibers.
 *
 * A fiber is brought in whole when it is accessed and is not there, and others leave until it
 * fits.  One that is larger than the cache passes by.
 *
 *   dim: accesses, fibers, capacity, bypass (1: a fiber may pass by although it would fit)
 *   buf: 0 trace[accesses]       fiber of each access, in [0, fibers)
 *        1 size[fibers]          room that each takes, >= 0
 *        2 missed[accesses]      uint8, written: 1 where the fiber was not there
 *        3 scratch, int64: 3 * (fibers + 1) for zs_cache_lru,
 *                          4 * accesses + fibers + 3 for zs_cache_optimal
 */
#include "zs_kernel.h"

/* zs_trace_is_sound() - ZS_OK, or ZS_ERANGE with the access whose fiber does not exist. */
static int32_t zs_trace_is_sound(zs_args *args, const int64_t *trace, int64_t n, int64_t fibers)
{
    for (int64_t t = 0; t < n; t++)
        if (trace[t] < 0 || trace[t] >= fibers)
            return zs_fail(args, ZS_ERANGE, t);
    return ZS_OK;
}

/*
 * zs_cache_lru() - the fiber that was not accessed for longest leaves.
 *
 * Fibers that are there form a ring through 'fibers', its head, from the latest to the oldest.
 */
int32_t zs_cache_lru(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    const int64_t n = args->dim[0], fibers = args->dim[1], capacity = args->dim[2];
    const int64_t *trace = args->buf[0], *size = args->buf[1];
    uint8_t *missed = args->buf[2];
    int64_t *next = args->buf[3], *before = next + fibers + 1, *there = before + fibers + 1;
    if (zs_trace_is_sound(args, trace, n, fibers) != ZS_OK)
        return args->error;
    for (int64_t f = 0; f < fibers; f++)
        there[f] = 0;
    next[fibers] = before[fibers] = fibers;
    int64_t room = capacity;
    for (int64_t t = 0; t < n; t++) {
        const int64_t f = trace[t];
        missed[t] = !there[f];
        if (there[f]) {
            next[before[f]] = next[f];
            before[next[f]] = before[f];
        } else {
            if (size[f] > capacity)
                continue;
            for (; room < size[f];) {
                const int64_t oldest = before[fibers];
                before[fibers] = before[oldest];
                next[before[oldest]] = fibers;
                there[oldest] = 0;
                room += size[oldest];
            }
            there[f] = 1;
            room -= size[f];
        }
        next[f] = next[fibers];
        before[f] = fibers;
        before[next[fibers]] = f;
        next[fibers] = f;
    }
    return ZS_OK;
}

/* An entry of the heap: when a fiber is accessed next, and which fiber. */
typedef struct {
    int64_t when, fiber;
} zs_use;

/* zs_push() - add 'use' to the heap at[0 .. n), whose root is used last. */
static void zs_push(zs_use *at, int64_t n, zs_use use)
{
    int64_t i = n;
    for (; i > 0 && at[(i - 1) / 2].when < use.when; i = (i - 1) / 2)
        at[i] = at[(i - 1) / 2];
    at[i] = use;
}

/* zs_pop() - take the root from the heap at[0 .. n), n > 0. */
static void zs_pop(zs_use *at, int64_t n)
{
    const zs_use last = at[n - 1];
    int64_t i = 0;
    for (int64_t child = 1; child < n - 1; child = 2 * i + 1) {
        child += child + 1 < n - 1 && at[child + 1].when > at[child].when;
        if (at[child].when <= last.when)
            break;
        at[i] = at[child];
        i = child;
    }
    at[i] = last;
}

/*
 * zs_cache_optimal() - the fiber that is accessed again latest leaves (Belady).
 *
 * With 'bypass', no fiber leaves for one that is accessed again later than itself; where those
 * that may leave do not make room, none does, and the fiber passes by.  Misses are fewest where
 * all sizes are equal; where they are not, this is the same rule, and no proof.
 *
 * due[f] is when f is accessed next if it is there, and negative if it is not; an entry of the
 * heap that says otherwise is stale.
 */
int32_t zs_cache_optimal(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    const int64_t n = args->dim[0], fibers = args->dim[1], capacity = args->dim[2];
    const int64_t bypass = args->dim[3];
    const int64_t *trace = args->buf[0], *size = args->buf[1];
    uint8_t *missed = args->buf[2];
    int64_t *again = args->buf[3], *due = again + n;
    zs_use *heap = (zs_use *)(due + fibers);
    int64_t *leaving = (int64_t *)(heap + n + 1);
    if (zs_trace_is_sound(args, trace, n, fibers) != ZS_OK)
        return args->error;
    for (int64_t f = 0; f < fibers; f++)
        due[f] = INT64_MAX;
    for (int64_t t = n - 1; t >= 0; t--) {
        again[t] = due[trace[t]];
        due[trace[t]] = t;
    }
    for (int64_t f = 0; f < fibers; f++)
        due[f] = -1;
    int64_t room = capacity, uses = 0;
    for (int64_t t = 0; t < n; t++) {
        const int64_t f = trace[t];
        missed[t] = due[f] < 0;
        if (due[f] < 0) {
            if (size[f] > capacity)
                continue;
            if (bypass && again[t] == INT64_MAX)
                continue;
            int64_t left = 0, freed = room;
            while (freed < size[f]) {
                const zs_use last = heap[0];
                if (due[last.fiber] != last.when) {
                    zs_pop(heap, uses--);
                    continue;
                }
                if (bypass && last.when <= again[t])
                    break;
                zs_pop(heap, uses--);
                leaving[left++] = last.fiber;
                freed += size[last.fiber];
                due[last.fiber] = -1 - last.when;    /* leaves, unless it is put back */
            }
            if (freed < size[f]) {
                while (left > 0) {
                    const int64_t back = leaving[--left];
                    due[back] = -1 - due[back];
                    zs_push(heap, uses++, (zs_use){ due[back], back });
                }
                continue;
            }
            while (left > 0)
                due[leaving[--left]] = -1;
            room = freed - size[f];
        }
        due[f] = again[t];
        zs_push(heap, uses++, (zs_use){ again[t], f });
    }
    return ZS_OK;
}
