/*
 * zs_mergers.c - steps of a unit that merges sorted fibers by a sorted list of their heads.
 *
 * A merge takes the fibers of one group.  The first entry of each goes into the list, in the
 * order of the fibers; then the least entry leaves (of equal ones, that of the latest fiber), and the
 * next of its fiber goes in.  To go in costs a step, and one for each entry in the list that is passed: those of a smaller
 * coordinate, and of an equal one those of a later fiber.  What lies in one fiber alone is merged
 * already.
 *
 *   dim: groups, members of the largest group
 *   buf: 0 group[groups + 1]     group g has the members group[g] .. group[g + 1)
 *        1 member[...]           fiber of each member
 *        2 pos[...], 3 crd[...]  fiber f has the entries crd[pos[f] .. pos[f + 1)), sorted
 *        4 steps[groups]         written
 *        5 scratch, int64: 3 * members of the largest group
 */
#include "zs_kernel.h"

/* zs_enter() - put member 'who' with 'coordinate' into the list, the least entry last. */
static int64_t zs_enter(int64_t *restrict heads, int64_t *restrict whose, int64_t n,
                        int64_t coordinate, int64_t who)
{
    int64_t at = n;
    for (; at > 0; at--) {
        const int64_t other = heads[at - 1];
        if (other > coordinate || (other == coordinate && whose[at - 1] <= who))
            break;
        heads[at] = other;
        whose[at] = whose[at - 1];
    }
    heads[at] = coordinate;
    whose[at] = who;
    return n - at + 1;
}

int32_t zs_merge_steps(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    const int64_t groups = args->dim[0], most = args->dim[1];
    const int64_t *group = args->buf[0], *member = args->buf[1];
    const int64_t *pos = args->buf[2], *crd = args->buf[3];
    int64_t *steps = args->buf[4], *heads = args->buf[5];
    int64_t *whose = heads + most, *next = whose + most;
    for (int64_t g = 0; g < groups; g++) {
        ZS_POLL(args);
        const int64_t first = group[g], members = group[g + 1] - first;
        int64_t n = 0, found = 0, full = 0;
        for (int64_t i = 0; i < members; i++)
            full += pos[member[first + i]] < pos[member[first + i] + 1];
        for (int64_t i = 0; i < members; i++) {
            next[i] = pos[member[first + i]];
            if (next[i] < pos[member[first + i] + 1])
                found += zs_enter(heads, whose, n++, crd[next[i]++], i);
        }
        while (n > 0) {
            const int64_t i = whose[--n];
            if (next[i] < pos[member[first + i] + 1])
                found += zs_enter(heads, whose, n++, crd[next[i]++], i);
        }
        steps[g] = full > 1 ? found : 0;
    }
    return ZS_OK;
}
