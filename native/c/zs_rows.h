/*
 * zs_rows.h - the places of one row of a sparse result, put in order.
 */
#ifndef ZS_ROWS_H
#define ZS_ROWS_H

#include "zs_kernel.h"

/* A row at least this full is read off its marks instead of being sorted. */
#define ZS_FULL_ROW 16

/* zs_sift() - move the item at 'root' of the heap at[0 .. n) down to where it belongs. */
ZS_INLINE void zs_sift(int64_t *at, int64_t root, int64_t n)
{
    const int64_t item = at[root];
    for (int64_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        child += child + 1 < n && at[child + 1] > at[child];
        if (at[child] <= item)
            break;
        at[root] = at[child];
        root = child;
    }
    at[root] = item;
}

/*
 * zs_sort_row() - put the 'n' distinct places of 'at' in increasing order.
 *
 * seen[place] is not 0 for these places and 0 for all others of [0, extent).  A row with
 * more than one place in ZS_FULL_ROW is rewritten from 'seen'; a short list is sorted by
 * insertion, any other by a heap.
 */
ZS_INLINE void zs_sort_row(int64_t *at, int64_t n, const uint8_t *seen, int64_t extent)
{
    if (n > extent / ZS_FULL_ROW && n > 1) {
        int64_t k = 0;
        for (int64_t place = 0; place < extent; place++)
            if (seen[place])
                at[k++] = place;
    } else if (n <= 32) {
        for (int64_t k = 1; k < n; k++) {
            const int64_t item = at[k];
            int64_t to = k;
            for (; to > 0 && at[to - 1] > item; to--)
                at[to] = at[to - 1];
            at[to] = item;
        }
    } else {
        for (int64_t root = n / 2 - 1; root >= 0; root--)
            zs_sift(at, root, n);
        for (int64_t last = n - 1; last > 0; last--) {
            const int64_t most = at[0];
            at[0] = at[last];
            at[last] = most;
            zs_sift(at, 0, last);
        }
    }
}

#endif /* ZS_ROWS_H */
