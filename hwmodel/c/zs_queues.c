/*
 * zs_queues.c - when PEs that take work from queues of their own are done.
 *
 * Steps are sent to all PEs, one a cycle at most; each PE keeps up to 'depth' of them waiting,
 * and takes them in order:
 *
 *   sent[t]    = max(sent[t - 1] + 1, latest start of step t - depth)
 *   start[t,e] = max(sent[t], done[t - 1, e])
 *   done[t,e]  = start[t,e] + work[t,e]
 *
 *   dim: steps, PEs, depth (>= 1)
 *   buf: 0 work[steps, PEs]     cycles
 *        1 done[PEs]            written: when each PE has done its last step
 *        2 scratch, int64: depth
 */
#include "zs_kernel.h"

int32_t zs_queue_cycles(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    const int64_t steps = args->dim[0], pes = args->dim[1], depth = args->dim[2];
    const int64_t *work = args->buf[0];
    int64_t *done = args->buf[1], *latest = args->buf[2];
    for (int64_t e = 0; e < pes; e++)
        done[e] = 0;
    int64_t sent = -1;
    for (int64_t t = 0; t < steps; t++) {
        ZS_POLL(args);
        int64_t *slot = latest + t % depth;
        sent = t >= depth && *slot > sent + 1 ? *slot : sent + 1;
        int64_t last = sent;
        for (int64_t e = 0; e < pes; e++) {
            const int64_t start = sent > done[e] ? sent : done[e];
            last = start > last ? start : last;
            done[e] = start + work[t * pes + e];
        }
        *slot = last;
    }
    return ZS_OK;
}
