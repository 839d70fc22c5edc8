/*
 * zs_rows.h - the places of one row of a sparse result, put in order.
 */
#ifndef ZS_ROWS_H
#define ZS_ROWS_H

#include "zs_kernel.h"

/* A row with more than one place in so many is read off its marks. */
#define ZS_FULL_ROW 8
/* A list of so few places is sorted by insertion. */
#define ZS_SHORT_ROW 12

/* zs_is_full() - whether a row of 'n' places is read off its marks. */
ZS_INLINE int zs_is_full(int64_t n, int64_t extent) { return n > extent / ZS_FULL_ROW && n > 1; }

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
 * zs_list_bits() - the places whose bits are set, in order; the bits are 0 afterwards.
 *
 * bits[0 .. words) has one bit a place, what follows one bit a word that is not 0.
 */
ZS_INLINE void zs_list_bits(int64_t *restrict at, uint64_t *restrict bits, int64_t words)
{
    uint64_t *filled = bits + words;
    int64_t k = 0;
    for (int64_t block = 0; block < zs_bit_words(words); block++) {
        for (uint64_t left = filled[block]; left != 0; left = zs_drop_lowest(left)) {
            const int64_t word = block * 64 + zs_ctz(left);
            for (uint64_t set = bits[word]; set != 0; set = zs_drop_lowest(set))
                at[k++] = word * 64 + zs_ctz(set);
            bits[word] = 0;
        }
        filled[block] = 0;
    }
}

/*
 * zs_sort_row() - put the 'n' distinct places of 'at' in increasing order.
 *
 * seen[place] is 1 for these places and 0 for all others of [0, extent); 'at' has room for one
 * place more than there are.  A full row is rewritten from 'seen' without a branch; a short list
 * is sorted by insertion; any other goes through a bitmap of two levels, or through a heap where
 * the upper level would be longer than the list.
 */
ZS_INLINE void zs_sort_row(int64_t *restrict at, int64_t n, const uint8_t *restrict seen,
                           uint64_t *restrict bits, int64_t extent)
{
    const int64_t words = zs_bit_words(extent);
    if (zs_is_full(n, extent)) {
        int64_t k = 0;
        for (int64_t place = 0; place < extent; place++) {
            at[k] = place;
            k += seen[place];
        }
    } else if (n <= ZS_SHORT_ROW) {
        for (int64_t k = 1; k < n; k++) {
            const int64_t item = at[k];
            int64_t to = k;
            for (; to > 0 && at[to - 1] > item; to--)
                at[to] = at[to - 1];
            at[to] = item;
        }
    } else if (words / 64 <= 4 * n) {
        for (int64_t k = 0; k < n; k++) {
            bits[at[k] / 64] |= (uint64_t)1 << (at[k] % 64);
            bits[words + at[k] / 4096] |= (uint64_t)1 << (at[k] / 64 % 64);
        }
        zs_list_bits(at, bits, words);
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
